"""Real programs that people already run, out of Debian's packages: unpacked into the user's cache, without root."""

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from stack import ports
from stack.tools import default_cache
from tests.engine import until

PACKAGES = {"prometheus-alertmanager": "prometheus-alertmanager", "prometheus": "prometheus"}
"""The program of each package that its name stands for."""
_WITHIN_S = 120


def command(package: str, program: str | None = None) -> tuple[str, ...]:
    """What starts the package's program, or another one of it.

    A machine that can neither find nor fetch it skips the test, and says why. A program looks for its own files below
    `/usr/share`: it sees there what its package brings, and nobody else does.
    """
    program = program or PACKAGES[package]
    if found := shutil.which(program):
        return (found,)
    home = default_cache().parent / "debian" / f"{package}-{_version(package)}"
    if not home.exists():
        _unpack(package, home)
    over = f"mount -t overlay overlay -o lowerdir={home}/usr/share:/usr/share /usr/share"
    return (
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        f'{over} && exec "$0" "$@"',
        f"{home}/usr/bin/{program}",
    )


@asynccontextmanager
async def running(*argv: str, ready: str) -> AsyncIterator[None]:
    """A peer from when it is ready until the end of the block; its log is shown when it never gets ready."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(*argv, stdout=log, stderr=log)
        try:
            async with httpx2.AsyncClient(trust_env=False) as client:

                async def is_ready() -> bool:
                    try:
                        return (await client.get(ready)).status_code == 200
                    except httpx2.TransportError:
                        return False

                try:
                    await until(is_ready, why=f"{argv[0]} is ready")
                except AssertionError:
                    log.seek(0)
                    raise AssertionError(log.read().decode()[-2_000:]) from None
                yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@asynccontextmanager
async def prometheus(folder: Path, config: dict[str, Any], *options: str) -> AsyncIterator[str]:
    """A Prometheus of this configuration with its files in `folder`, and where it answers."""
    (folder / "prometheus.yml").write_text(json.dumps(config))
    (port,) = ports.choose(0)
    own = f"http://127.0.0.1:{port}"
    argv = (
        *command("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        *options,
    )
    async with running(*argv, ready=f"{own}/-/ready"):
        yield own


def _version(package: str) -> str:
    said = _run("apt-cache", "policy", package).stdout
    wanted = [line.split()[-1] for line in said.splitlines() if "Candidate:" in line]
    if not wanted or wanted[0] == "(none)":
        pytest.skip(f"no {package}: apt knows none; run: apt-get update")
    return wanted[0].replace(":", "_")


def _unpack(package: str, home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        fetched = _run("apt-get", "download", package, cwd=folder)
        packed = next(Path(folder).glob("*.deb"), None)
        if packed is None:
            pytest.skip(f"no {package}: apt-get download says {fetched.stderr.strip()[-300:]}")
        _run("dpkg", "-x", str(packed), f"{folder}/unpacked", check=True)
        Path(folder, "unpacked").rename(home)


def _run(*argv: str, cwd: str | None = None, check: bool = False) -> subprocess.CompletedProcess[str]:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"no {argv[0]} on this machine, so its packages cannot be had")
    return subprocess.run(argv, cwd=cwd, check=check, capture_output=True, text=True, timeout=_WITHIN_S)
