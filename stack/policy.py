"""OPA on loopback, serving nothing but the signed bundle."""

import json
from pathlib import Path

from domain.errors import UnavailableError
from stack.bundle import ALGORITHM, Built, Bundle, Sources
from stack.child import ChildSpec
from stack.ports import LOOPBACK
from stack.probe import is_well

_KEY = "stack"


class Policy:
    """The policy server. OPA reads a bundle file once, so a new bundle needs a restart of the server."""

    def __init__(self, program: Path, data: Path, sources: Sources, *, port: int) -> None:
        self._program = program
        self._folder = data / "opa"
        self._port = port
        self._bundle = Bundle(program, sources, self._folder)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    async def build(self) -> Built:
        """Build and sign the bundle. The last good one stays when that fails."""
        built = await self._bundle.build()
        self._write_config()
        return built

    def spec(self) -> ChildSpec:
        config = self._folder / "config.json"
        if not config.exists():
            raise UnavailableError("the policy bundle is not built yet")
        options = ("--addr", f"{LOOPBACK}:{self._port}", "--config-file", str(config))
        quiet = ("--log-level", "error", "--skip-version-check")
        return ChildSpec(
            name="opa",
            argv=(str(self._program), "run", "--server", *options, *quiet),
            env={"PATH": "/usr/bin:/bin", "HOME": str(self._folder), "TZ": "UTC"},
            cwd=self._folder,
        )

    async def is_ready(self) -> bool:
        return await is_well(f"{self.url}/health?bundles=true")

    def _write_config(self) -> None:
        write_config(self._folder / "config.json", bundle=self._bundle.path.resolve(), public_key=self._bundle.public_key())


def write_config(path: Path, *, bundle: Path, public_key: str) -> None:
    """The server's config: it loads one bundle from a file, and only when the signature is right."""
    config = {
        "bundles": {"suture": {"resource": bundle.as_uri(), "signing": {"keyid": _KEY}}},
        "keys": {_KEY: {"algorithm": ALGORITHM, "key": public_key}},
    }
    temporary = path.with_name("config.new")
    temporary.write_text(json.dumps(config, indent=2))
    temporary.replace(path)
