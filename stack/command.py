"""Run a program to its end and hear what it says; it never outlives the wait for it."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from domain.base import Value
from stack.account import Account


class Said(Value):
    """How a program ended and the end of what it printed on both streams."""

    code: int
    text: str


async def hear(
    *argv: str,
    within: timedelta,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: Account | None = None,
) -> Said:
    """Raises OSError when the program does not start, TimeoutError when it takes too long."""
    uid, groups = (None, None) if account is None else (account.uid, ())
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        env=env,
        cwd=cwd,
        user=uid,
        group=None if account is None else account.gid,
        extra_groups=groups,
        start_new_session=True,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), within.total_seconds())
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Said(code=process.returncode or 0, text=said.decode(errors="replace").strip()[-4_000:])
