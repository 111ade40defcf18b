"""Real processes of the product, started with the settings of the tests; each is gone when its block ends."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2
from pydantic import SecretStr

from domain.units import duration_text
from settings import Settings
from stack import ports
from tests.engine import ROOT, until


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Served:
    """A process that runs; `log` is what it writes to its standard error."""

    process: Process
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")


def environment(chosen: Settings) -> dict[str, str]:
    """`chosen` as variables, and nothing else of ours that this process happens to have."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
    given = {name: getattr(chosen, name) for name in chosen.model_fields_set}
    return own | {f"SUTURE_{name.upper()}": _text(value) for name, value in given.items() if value is not None}


async def run(module: str, variables: Mapping[str, str]) -> Ended:
    """A process that ends by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, cwd=ROOT, env=variables, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout=60)
    finally:
        await _end(process)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def serving(
    module: str, variables: Mapping[str, str], folder: Path, is_ready: Callable[[], Awaitable[bool]]
) -> AsyncIterator[Served]:
    """A process that serves until the end of the block."""
    log = folder / f"{module}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, cwd=ROOT, env=variables, stdin=DEVNULL, stdout=DEVNULL, stderr=output
        )
    served = Served(process, log)

    async def serves() -> bool:
        assert process.returncode is None, f"{module} ended: {served.said()[-2000:]}"
        return await is_ready()

    try:
        await until(serves, within=40, why=f"{module} serves")
        yield served
    finally:
        await _end(process)


@asynccontextmanager
async def serving_api(chosen: Settings, folder: Path, **more: str) -> AsyncIterator[tuple[Served, int]]:
    """The API as it is deployed, on a loopback port of its own."""
    port = ports.choose(0)[0]
    variables = environment(chosen) | {"SUTURE_API_HOST": "127.0.0.1", "SUTURE_API_PORT": str(port)} | more
    async with serving("api.app", variables, folder, lambda: answers(f"http://127.0.0.1:{port}/healthz")) as served:
        yield served, port


async def answers(url: str) -> bool:
    try:
        async with httpx2.AsyncClient() as client:
            return (await client.get(url)).status_code == 200
    except httpx2.TransportError:
        return False


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _text(value: object) -> str:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case timedelta():
            return duration_text(value)
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
