"""Say of one run how unlike those before it it is: at once, off the event loop, and never so many that all become slow."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pydantic import Field

from domain.errors import InvalidError, UnavailableError
from models.anomaly import MOST_HISTORY, Anomaly, detect
from models.features import NAMES, SIGNATURES, Features

AT_ONCE, WAITING = 2, 32
"""Each takes a core for up to a tenth of a second; whoever waits behind so many would wait too long."""

__all__ = ["Anomaly", "Detecting", "Question"]


class Question(Features):
    """A run's features, and those of the runs before it, the oldest first: the more of them, the more can be said."""

    history: tuple[Features, ...] = Field(default=(), max_length=MOST_HISTORY)


class Detecting:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="detect")
        self._waiting = 0

    async def detect(self, asked: Question) -> Anomaly:
        """How odd the run is.

        Raises:
            InvalidError: nothing is known of it.
            UnavailableError: too many wait to be judged already.
        """
        if not asked.error_signatures and all(getattr(asked, name) is None for name in NAMES):
            raise InvalidError(f"expected one feature at least: {', '.join((*NAMES, SIGNATURES))}")
        if self._waiting >= AT_ONCE + WAITING:
            raise UnavailableError(f"{self._waiting} runs are judged or wait to be: try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, detect, asked, asked.history)
        finally:
            self._waiting -= 1
