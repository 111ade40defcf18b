"""Fetch a tool from whoever makes it: Temporal's by the SDK's own downloader, OPA's with its published checksum."""

import asyncio
import hashlib
import platform
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx2
from temporalio import service
from temporalio.bridge.testing import DevServerConfig, EphemeralServer
from temporalio.runtime import Runtime

from domain.errors import UnavailableError

Report = Callable[[str], None]

_CONNECT = timedelta(seconds=5)
_DOWNLOAD = timedelta(minutes=10)
_TICK_S = 0.1
_LARGEST = 500 * 1024 * 1024
_OPA_RELEASES = "https://github.com/open-policy-agent/opa/releases/download"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


async def fetch_temporal(version: str, target: Path, report: Report) -> None:
    """Have the SDK download the Temporal CLI and keep the program.

    Raises:
        UnavailableError: no connection within seconds, or the download failed.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetching-") as folder:
        task = asyncio.ensure_future(_start_once(version, folder))
        try:
            await _until_it_arrives(task, Path(folder))
            if not task.done():
                report(f"temporal {version}: downloading")
            async with asyncio.timeout(_DOWNLOAD.total_seconds()):
                server = await task
            await server.shutdown()
        except (RuntimeError, TimeoutError) as error:
            raise UnavailableError(f"the vendor's download failed: {error}") from error
        finally:
            await _give_up(task)
        _keep_largest(Path(folder), target)


async def fetch_opa(version: str, target: Path, report: Report) -> None:
    """Download OPA's release and keep it when it has the published SHA-256.

    Raises:
        UnavailableError: no connection within seconds, no such release, or another checksum.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None or platform.system() != "Linux":
        raise UnavailableError(f"the vendor has no program for {platform.system()} on {platform.machine()}")
    url = f"{_OPA_RELEASES}/v{version}/opa_linux_{machine}_static"
    patience = httpx2.Timeout(30, connect=_CONNECT.total_seconds())
    temporary = target.with_name(f"{target.name}.fetching")
    try:
        async with (
            asyncio.timeout(_DOWNLOAD.total_seconds()),
            httpx2.AsyncClient(timeout=patience, follow_redirects=True) as web,
        ):
            published = (await web.get(f"{url}.sha256")).raise_for_status().text.split()
            report(f"opa {version}: downloading")
            actual = await _download(web, url, temporary)
        if published[:1] != [actual]:
            raise UnavailableError(f"the download has SHA-256 {actual}, published is {' '.join(published[:1]) or 'none'}")
        temporary.chmod(0o755)
        temporary.replace(target)
    except (httpx2.HTTPError, TimeoutError) as error:
        raise UnavailableError(f"the vendor's download failed: {error or type(error).__name__}") from error
    finally:
        temporary.unlink(missing_ok=True)


async def _start_once(version: str, folder: str) -> EphemeralServer:
    """The SDK downloads only on the way to starting a server, so one is started and stopped."""
    config = DevServerConfig(
        existing_path=None,
        sdk_name="sdk-python",
        sdk_version=service.__version__,
        download_version=f"v{version}",
        download_dest_dir=folder,
        download_ttl_ms=None,
        namespace="default",
        ip="127.0.0.1",
        port=None,
        database_filename=None,
        ui=False,
        ui_port=None,
        log_format="pretty",
        log_level="error",
        extra_args=[],
        startup_timeout_ms=20_000,
    )
    return await EphemeralServer.start_dev_server(Runtime.default()._core_runtime, config)


async def _until_it_arrives(task: "asyncio.Future[EphemeralServer]", folder: Path) -> None:
    """The downloader has no timeout of its own; the first file in its folder shows that it is connected."""
    async with asyncio.timeout(_CONNECT.total_seconds()):
        while not task.done() and _is_empty(folder):
            await asyncio.wait({task}, timeout=_TICK_S)


def _is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def _keep_largest(folder: Path, target: Path) -> None:
    program = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    program.chmod(0o755)
    program.replace(target)


async def _give_up(task: "asyncio.Future[EphemeralServer]") -> None:
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError, RuntimeError):
            await task


async def _download(web: httpx2.AsyncClient, url: str, target: Path) -> str:
    digest, size = hashlib.sha256(), 0
    async with web.stream("GET", url) as response:
        response.raise_for_status()
        with target.open("wb") as file:
            async for block in response.aiter_bytes():
                size += len(block)
                if size > _LARGEST:
                    raise UnavailableError(f"the vendor's program is larger than {_LARGEST} bytes")
                digest.update(block)
                file.write(block)
    return digest.hexdigest()
