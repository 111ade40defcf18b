"""Build one signed policy bundle from a folder of Rego files and a folder of numbers."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from domain.base import Value
from domain.errors import InvalidError
from stack.command import hear

ALGORITHM = "ES256"
_BUILD_WITHIN = timedelta(seconds=30)


class Sources(Value):
    """Where policies and their numbers are written; `_test.rego` files stay out of the bundle."""

    rego: Path
    data: Path | None = None


class Built(Value):
    """The bundle in force; `refusal` says why a newer one was not taken."""

    revision: str
    refusal: str | None = None


class Bundle:
    """The signed bundle in `folder`. A build that fails leaves the last good one in force."""

    def __init__(self, opa: Path, sources: Sources, folder: Path) -> None:
        self._opa = opa
        self._sources = sources
        self._folder = folder
        self.path = folder / "bundle.tar.gz"

    async def build(self) -> Built:
        """Raises InvalidError when the build fails and no earlier bundle exists."""
        self._folder.mkdir(exist_ok=True, mode=0o700)
        try:
            return Built(revision=await self._build())
        except InvalidError as error:
            if not self.path.exists():
                raise
            return Built(revision=self._revision.read_text(), refusal=str(error))

    def public_key(self) -> str:
        """The verification key, as PEM."""
        return _public(self._key().read_bytes())

    @property
    def _revision(self) -> Path:
        return self._folder / "revision"

    def _key(self) -> Path:
        path = self._folder / "signing.pem"
        if not path.exists():
            fresh = generate_private_key(SECP256R1())
            temporary = path.with_suffix(".new")
            temporary.touch(mode=0o600)
            temporary.write_bytes(fresh.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
            temporary.replace(path)
        return path

    async def _build(self) -> str:
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="building-") as folder:
            work = Path(folder)
            revision = _stage(self._sources, work / "bundle")
            await self._sign(work, revision)
            (work / "bundle.tar.gz").replace(self.path)
        temporary = self._revision.with_suffix(".new")
        temporary.write_text(revision)
        temporary.replace(self._revision)
        return revision

    async def _sign(self, work: Path, revision: str) -> None:
        words = ["build", "--bundle", ".", "--signing-key", str(self._key().resolve()), "--signing-alg", ALGORITHM]
        words += ["--revision", revision, "--output", str((work / "bundle.tar.gz").resolve())]
        try:
            said = await hear(str(self._opa), *words, within=_BUILD_WITHIN, cwd=work / "bundle")
        except TimeoutError as error:
            raise InvalidError(f"the policy bundle does not build within {_BUILD_WITHIN}") from error
        if said.code:
            raise InvalidError(f"the policy bundle does not build: {said.text[-2000:]}")


def _stage(sources: Sources, folder: Path) -> str:
    """Lay out what goes into the bundle, and return the digest of it."""
    folder.mkdir()
    digest = hashlib.sha256()
    for name, content in (*_policies(sources.rego), ("data.json", _numbers(sources.data))):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _policies(folder: Path) -> Iterator[tuple[str, bytes]]:
    files = [path for path in sorted(folder.rglob("*.rego")) if not path.name.endswith("_test.rego")]
    if not files:
        raise InvalidError(f"expected .rego files in {folder}, got none")
    return ((str(path.relative_to(folder)), path.read_bytes()) for path in files)


def _numbers(folder: Path | None) -> bytes:
    """Every JSON and YAML file merged at the root, folders as prefixes: the layout `opa test FOLDER` loads."""
    merged: dict[str, Any] = {}
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".json", ".yaml", ".yml"}) if folder else []
    for path in files:
        try:
            content = yaml.safe_load(path.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InvalidError(f"{path} is not valid {path.suffix[1:].upper()}: {error}") from error
        for parent in reversed(path.relative_to(folder or path).parent.parts):
            content = {parent: content}
        _merge(merged, content, path)
    return json.dumps(merged, sort_keys=True, separators=(",", ":")).encode()


def _merge(into: dict[str, Any], content: Any, path: Path) -> None:
    if not isinstance(content, dict):
        raise InvalidError(f"{path} must hold an object, got {type(content).__name__}")
    for key, value in content.items():
        if isinstance(into.get(key), dict) and isinstance(value, dict):
            _merge(into[key], value, path)
        elif key in into:
            raise InvalidError(f"{path} defines {key} a second time")
        else:
            into[key] = value


def _public(private: bytes) -> str:
    key = load_pem_private_key(private, password=None).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
