"""Lets the demo stop a stage at a named point: without the config key `hold` nothing here happens."""

import asyncio
from pathlib import Path

from .contract import StageError, config

_PAUSE_SECONDS = 0.01
_PAUSES = 6000


async def hold(point: str) -> None:
    """Say that `point` is reached, and stay while `{point}.wait` lies in the folder that config names."""
    if not (folder := config().get("hold")):
        return
    reached = Path(folder) / f"{point}.reached"
    if not reached.exists():  # an earlier try, under another account, may have left it
        reached.touch()
    for _ in range(_PAUSES):
        if not (Path(folder) / f"{point}.wait").exists():
            return
        await asyncio.sleep(_PAUSE_SECONDS)
    raise StageError(f"held at {point} for more than a minute")
