"""The signed bundle: what is in it, and what stays in force when a build fails."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from domain.errors import InvalidError
from stack.bundle import Bundle, Sources
from stack.tools import Search, Tool, default_cache, find

MODULES = Path(__file__).parents[3] / "tools"
RULE = "package autonomy\n\ndefault allow := false\n\nallow if data.limits.most > 1\n"


@pytest.fixture(scope="session")
async def opa() -> Path:
    search = Search(modules=MODULES, cache=default_cache(), path=os.environ["PATH"])
    return (await find(Tool.OPA, search, lambda _: None)).path


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    written = Sources(rego=tmp_path / "rego", data=tmp_path / "numbers")
    written.rego.mkdir()
    (tmp_path / "numbers" / "limits").mkdir(parents=True)
    (written.rego / "autonomy.rego").write_text(RULE)
    (written.rego / "autonomy_test.rego").write_text("package autonomy_test\n\ntest_it if true\n")
    (tmp_path / "numbers" / "limits.yaml").write_text("limits:\n  most: 2\n")
    (tmp_path / "numbers" / "limits" / "least.json").write_text('{"least": 1}')
    return written


def members(bundle: Bundle) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(bundle.path.read_bytes())) as tar:
        return {m.name.lstrip("/"): (tar.extractfile(m) or io.BytesIO()).read() for m in tar if m.isfile()}


async def test_bundle_is_signed_and_holds_policies_and_merged_numbers(opa: Path, sources: Sources, tmp_path: Path) -> None:
    """Tests stay out; numbers from YAML and JSON meet under one root; a signature and a revision are inside."""
    bundle = Bundle(opa, sources, tmp_path / "opa")
    built = await bundle.build()
    inside = members(bundle)
    assert set(inside) == {"autonomy.rego", "data.json", ".manifest", ".signatures.json"}
    assert json.loads(inside["data.json"]) == {"limits": {"most": 2, "least": 1}}
    assert json.loads(inside[".manifest"])["revision"] == built.revision


async def test_revision_follows_the_content(opa: Path, sources: Sources, tmp_path: Path) -> None:
    """The same sources give the same revision, another number gives another."""
    bundle = Bundle(opa, sources, tmp_path / "opa")
    first, again = await bundle.build(), await bundle.build()
    (tmp_path / "numbers" / "limits.yaml").write_text("limits:\n  most: 3\n")
    assert first == again
    assert (await bundle.build()).revision != first.revision


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("rego/autonomy.rego", "package autonomy\n\nallow if nonsense("),
        ("numbers/limits.yaml", "limits: [unclosed"),
        ("numbers/limits.yaml", "- a list"),
        ("numbers/limits.yaml", "limits:\n  least: 9\n"),
    ],
)
async def test_failing_build_keeps_the_last_good_bundle(
    opa: Path, sources: Sources, tmp_path: Path, file: str, content: str
) -> None:
    """The earlier bundle stays byte for byte, and the refusal says why."""
    bundle = Bundle(opa, sources, tmp_path / "opa")
    good = await bundle.build()
    before = bundle.path.read_bytes()
    (tmp_path / file).write_text(content)
    built = await bundle.build()
    assert (built.revision, bundle.path.read_bytes()) == (good.revision, before)
    assert built.refusal


async def test_first_build_that_fails_is_an_error(opa: Path, sources: Sources, tmp_path: Path) -> None:
    """Without an earlier bundle there is nothing to fall back on."""
    (sources.rego / "autonomy.rego").write_text("package")
    with pytest.raises(InvalidError, match="does not build"):
        await Bundle(opa, sources, tmp_path / "opa").build()


async def test_signing_key_is_private_and_kept(opa: Path, sources: Sources, tmp_path: Path) -> None:
    """The key has mode 0600 and survives a rebuild."""
    bundle = Bundle(opa, sources, tmp_path / "opa")
    await bundle.build()
    key = bundle.public_key()
    await bundle.build()
    assert bundle.public_key() == key
    assert (tmp_path / "opa" / "signing.pem").stat().st_mode & 0o777 == 0o600
