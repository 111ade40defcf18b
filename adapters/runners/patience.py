"""Waiting for what must not be left half done, and with a sign of life while it takes long."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Bring `work` to its end; a cancellation meanwhile is passed on only then."""
    task = asyncio.create_task(work)
    if await _settled(task):
        raise asyncio.CancelledError
    return task.result()


async def beating(work: Coroutine[Any, Any, T], beat: Callable[[], None], *, every: timedelta) -> T:
    """Wait for `work` and call `beat` at its start and every so often until it is done.

    Left early, by a cancellation or by a beat that refuses, it first sees `work` cancelled and ended.
    """
    task = asyncio.create_task(work)
    try:
        while not task.done():
            beat()
            await asyncio.wait({task}, timeout=every.total_seconds())
    except BaseException:
        task.cancel()
        await _settled(task)
        raise
    return task.result()


async def _settled(task: asyncio.Task[Any]) -> bool:
    """Wait for the end of `task`, True if we were cancelled meanwhile."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if not task.cancelled():
        task.exception()  # seen, so that asyncio does not report it as forgotten
    return cancelled
