"""A real OPA server over the product's own policies, and servers that misbehave in its place."""

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp

from adapters.opa import OpaPolicy
from stack.tools import Tool
from tests.engine import program

POLICIES = Path(__file__).parents[3] / "policies"
SOON = timedelta(milliseconds=200)


def build_bundle(folder: Path) -> Path:
    path = folder / "bundle.tar.gz"
    sources = (str(POLICIES / "rego"), str(POLICIES / "data"))
    subprocess.run(
        [program(Tool.OPA), "build", *sources, "--revision", "r1", "--output", path],
        check=True,
        timeout=60,
        capture_output=True,
    )
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    words = ("run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error", "--disable-telemetry", *options)
    server = subprocess.Popen([program(Tool.OPA), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield server
    finally:
        server.kill()
        server.wait(10)


def with_bundle(path: Path, name: str = "suture") -> tuple[str, ...]:
    return ("--set", f"bundles.{name}.resource={path.as_uri()}")


async def until_ready(port: int) -> None:
    deadline = time.monotonic() + 20
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            try:
                async with session.get(f"http://127.0.0.1:{port}/health?bundles=true") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)
    raise AssertionError("OPA did not become ready in 20 s")


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def pretending(handle: Handler) -> AsyncIterator[OpaPolicy]:
    """A policy port over a server that misbehaves as `handle` does."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, OpaPolicy(f"http://127.0.0.1:{port}", patience=SOON) as policy:
        yield policy


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        continue
    writer.close()


def saying(status: str, body: str) -> Handler:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    return answer
