"""Real worker processes that a test may stop, continue and kill, each by its own pid."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from settings import Settings
from tests.engine import ROOT, until

_DATABASES = ("database_url", "database_relay_url", "database_platform_url")
_PLAIN = ("data", "temporal_address", "opa_url", "master_key_file", "region")


class Worker:
    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def kill(self) -> None:
        self.send(signal.SIGKILL)
        await self.process.wait()

    def said(self) -> str:
        return self._log.read_text(errors="replace")


class Workers:
    """Starts `python -m worker` with the settings of the tests, and leaves none behind."""

    def __init__(self, chosen: Settings, folder: Path) -> None:
        self._chosen = chosen
        self._folder = folder
        self._all: list[Worker] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._all:
            await worker.kill()

    async def start(self, *queues: str) -> Worker:
        """A worker that serves `queues` when this returns."""
        number = len(self._all)
        ready, log = self._folder / f"worker-{number}.ready", self._folder / f"worker-{number}.log"
        environment = self.environment() | {"SUTURE_QUEUES": ",".join(queues), "SUTURE_READY_FILE": str(ready)}
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "worker", cwd=ROOT, env=environment, stdin=DEVNULL, stdout=output, stderr=output
            )
        worker = Worker(process, log)
        self._all.append(worker)

        async def serves() -> bool:
            assert process.returncode is None, f"the worker ended: {worker.said()[-2000:]}"
            return ready.exists()

        await until(serves, within=40, why="a worker serves")
        return worker

    def environment(self) -> dict[str, str]:
        chosen, names = self._chosen, {**os.environ}
        for name in _DATABASES:
            url: SecretStr = getattr(chosen, name)
            names[f"SUTURE_{name.upper()}"] = url.get_secret_value()
        names |= {f"SUTURE_{name.upper()}": str(getattr(chosen, name)) for name in _PLAIN}
        return names | {"SUTURE_LEASE": f"{int(chosen.lease.total_seconds())}s", "PYTHONDONTWRITEBYTECODE": "1"}
