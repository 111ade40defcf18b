"""`suture demo`: start a stack of its own, tell the story with live progress, say how it went."""

import asyncio
import secrets
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import settings
from commands.up import STOPS, plan_of
from demo.files import dev, prod
from demo.story import Place, Told, tell
from demo.target import Server
from demo.workers import Pids
from stack.application import Application, Running, Wanted
from stack.local import Preferred, Stack, scratch

_LEASE = timedelta(seconds=2)
_WIDTH = 160


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack up afterwards, until Ctrl-C.")] = False,
    seed: Annotated[int | None, typer.Option(help="Tell the story that this seed draws.")] = None,
) -> None:
    """Tell the story of a run that heals itself, on a stack of its own, and exit 1 if anything differs."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    drawn = seed if seed is not None else secrets.randbelow(10_000)
    told = asyncio.run(_start(console, seed=drawn, keep=keep))
    raise typer.Exit(0 if told.is_good else 1)


async def _start(console: Console, *, seed: int, keep: bool) -> Told:
    began = time.monotonic()

    def report(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s  {line}[/dim]")

    wanted = Wanted(lease=_LEASE, execute_workers=2)
    plan = plan_of(settings.load(), wanted).model_copy(update={"preferred": Preferred(postgres=0)})
    with scratch() as data:
        stack = Stack(data, plan, report=report)
        async with stack as endpoints:
            running = await Application(stack, data, wanted, report=report).start(endpoints)
            _show(console, running)
            told = await tell(_place(running, data), prod(), dev(), seed=seed, workers=_pids(stack), say=console.print)
            report("the story is told")
            _close(console, told)
            if keep:
                console.print(
                    f"the stack stays up; Ctrl-C ends it. SUTURE_TOKEN=$(cat {running.token_file}) suture incident list"
                )
                await _until_told(stack)
    return told


def _close(console: Console, told: Told) -> None:
    for difference in told.differences:
        console.print(f"differs: {difference}", style="red")
    console.print(told.line, style="bold green" if told.is_good else "bold red")


def _place(running: Running, data: Path) -> Place:
    address = running.endpoints.postgres
    server = Server(host=address.host, port=address.port, user=address.user, password=address.password.get_secret_value())
    token = running.token_file.read_text().strip()
    return Place(api_url=running.api_url, admin_token=token, server=server, holds=data / "holds")


def _pids(stack: Stack) -> Pids:
    def look() -> tuple[int, ...]:
        names = [name for name in stack.supervisor.names() if name.startswith("execute-")]
        return tuple(pid for name in names if (pid := stack.supervisor.pid(name)) is not None)

    return look


def _show(console: Console, running: Running) -> None:
    console.print(f"  Temporal Web UI  {running.endpoints.temporal_ui_url}")
    console.print(f"  OpenAPI docs     {running.api_url}/docs")
    console.print(
        "  commands         suture incident list · suture incident show ID · suture plan show ID · suture audit verify"
    )


async def _until_told(stack: Stack) -> None:
    """Until a signal, or until a part of the stack is dead for good."""
    told = asyncio.Event()
    for each in STOPS:
        asyncio.get_running_loop().add_signal_handler(each, told.set)
    waiting = {asyncio.create_task(stack.wait()), asyncio.create_task(told.wait())}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
