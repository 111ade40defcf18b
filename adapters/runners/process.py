"""Runs one attempt of a stage as supervised processes on this host, under the stage contract."""

import asyncio
import logging
import math
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from adapters.blobs import DirectoryBlobs
from adapters.runners.identity import Identity, StageIdentity, unreachable
from adapters.runners.output import Capture, Captured, with_note
from adapters.runners.patience import beating, uninterrupted
from adapters.runners.supervisor import Ending, Job, Supervisor, supervisor
from adapters.runners.workspace import Workspace, remove_abandoned
from domain.base import Digest
from domain.errors import InvalidError, LeaseLostError, UnavailableError
from domain.stage import Argv, Outcome, ProbeAnswer, Probed, StageCommand, StageLimits, StageResult, SupervisorHandle

NOT_DONE = 3
_CLEAR_EVERY = timedelta(minutes=1)

log = logging.getLogger("suture.stages")

T = TypeVar("T")

Heartbeat = Callable[[], None]
Started = Callable[[SupervisorHandle], Awaitable[None]]
Held = Callable[[], bool]


@dataclass(frozen=True)
class Pace:
    """How long a silent worker keeps its stage, and how long a stage has between SIGTERM and SIGKILL."""

    lease: timedelta = timedelta(seconds=30)
    grace: timedelta = timedelta(milliseconds=500)

    @property
    def beat(self) -> timedelta:
        return self.lease / 4


@dataclass(frozen=True)
class Attempt:
    """One command of a stage to run: its own argv or its probe's, with the secrets it may read."""

    argv: Argv
    command: StageCommand
    secrets: Mapping[str, str]
    heartbeat: Heartbeat
    started: Started
    held: Held | None


class ProcessRunner:
    """Runs stages on this host.

    `python` in a stage's argv is `interpreter`: any Python the stage's uid can read, with the packages its stages
    need installed in it. By default it is the Python this worker's environment was made from, so stages see the
    standard library and their own code. `workspace` must lie where that uid can pass; nothing stays in it.
    """

    def __init__(
        self,
        blobs: DirectoryBlobs,
        workspace: Path,
        identity: StageIdentity,
        *,
        interpreter: Path | None = None,
        limits: StageLimits | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._blobs, self._workspace, self._identity = blobs, workspace, identity
        self._interpreter = interpreter or Path(getattr(sys, "_base_executable", sys.executable))
        self._limits, self._pace = limits or StageLimits(), pace or Pace()
        workspace.mkdir(mode=0o711, parents=True, exist_ok=True)
        if identity.uids is not None:
            workspace.chmod(0o711)
            self._refuse_unreachable()

    async def run(
        self,
        command: StageCommand,
        secrets: Mapping[str, str],
        *,
        heartbeat: Heartbeat,
        started: Started,
        held: Held | None = None,
    ) -> StageResult:
        """Run the stage to its end. `started` is awaited before the stage's own code runs.

        It lives on as long as `held` says so at every beat; without one nobody else could take it over.

        However it is left, by a result, an error or a cancellation, no process and no folder of the stage remains.

        Raises:
            LeaseLostError: this worker stood still for longer than its lease, or lost it, so its stage was killed.
            UnavailableError: the host cannot run a stage now, or its supervisor was ended from outside.
            NotFoundError: the code or an input is not stored.
        """
        return await self._attempt(Attempt(command.argv, command, secrets, heartbeat, started, held))

    async def probe(
        self,
        command: StageCommand,
        secrets: Mapping[str, str],
        *,
        heartbeat: Heartbeat,
        started: Started,
        held: Held | None = None,
    ) -> Probed:
        """Ask the stage's probe whether its effect is there; raises what `run` raises."""
        if command.probe is None:
            raise InvalidError(f"stage {command.stage} has no probe command")
        attempt = await self._attempt(Attempt(command.probe, command, secrets, heartbeat, started, held))
        if attempt.outcome is Outcome.PASSED:
            return Probed(answer=ProbeAnswer.DONE, attempt=attempt)
        not_done = attempt.exit_code == NOT_DONE and not attempt.timed_out
        return Probed(answer=ProbeAnswer.NOT_DONE if not_done else ProbeAnswer.UNKNOWN, attempt=attempt)

    async def clear_abandoned(self, *, older_than: timedelta = timedelta(minutes=1)) -> int:
        """Remove the folders of workers of this host that were killed."""
        return await asyncio.to_thread(remove_abandoned, self._workspace, older_than=older_than)

    async def keep_clear(self) -> None:
        """Until cancelled; from a worker's start on, so that secrets of a killed one stay for minutes at most."""
        while True:
            try:
                await self.clear_abandoned()
            except OSError as error:
                log.warning("workspace not cleared", extra={"error": type(error).__name__})
            await asyncio.sleep(_CLEAR_EVERY.total_seconds())

    async def _attempt(self, attempt: Attempt) -> StageResult:
        _refuse_other_secrets(attempt)
        with self._identity.claimed() as who:
            place = Workspace(self._workspace / uuid4().hex, who.uid)
            try:
                await self._whole(self._lay_out(place, attempt), attempt.heartbeat)
                ending, output = await self._supervised(place, attempt, who)
                return await self._whole(self._result(place, ending, output), attempt.heartbeat)
            finally:
                await uninterrupted(asyncio.to_thread(place.remove))

    async def _lay_out(self, place: Workspace, attempt: Attempt) -> None:
        await asyncio.to_thread(place.lay_out, attempt.command, attempt.secrets)
        await self._blobs.unpack(attempt.command.code, place.code)
        for stage, digest in attempt.command.inputs.items():
            await self._blobs.unpack(digest, place.inputs / stage)
        await asyncio.to_thread(place.hand_over)

    async def _whole(self, work: Coroutine[Any, Any, T], heartbeat: Heartbeat) -> T:
        """Files are written in threads, which no cancellation stops: wait for them before the folder goes."""
        return await beating(uninterrupted(work), heartbeat, every=self._pace.beat)

    async def _supervised(self, place: Workspace, attempt: Attempt, who: Identity) -> tuple[Ending, Captured]:
        capture = Capture(attempt.secrets.values())
        async with supervisor(who.lock, place.lock) as watched:
            handle = await watched.introduce(self._job(place, attempt, who))
            await self._announced(handle, attempt)
            watched.go()
            ending = await beating(watched.ending(capture.feed), _beat(watched, attempt), every=self._pace.beat)
        _refuse_lost(ending)
        return ending, capture.close()

    async def _announced(self, handle: SupervisorHandle, attempt: Attempt) -> None:
        # The supervisor waits under its lease, so an intent that is not stored by then has lost the stage.
        try:
            async with asyncio.timeout(self._pace.lease.total_seconds()):
                await attempt.started(handle)
        except TimeoutError:
            raise UnavailableError(f"the start of stage {attempt.command.stage} could not be stored in time") from None

    def _job(self, place: Workspace, attempt: Attempt, who: Identity) -> Job:
        command, limits = attempt.command, self._limits
        seconds = math.ceil(command.timeout.total_seconds())
        return Job(
            argv=self._resolved(attempt.argv),
            env=place.environment(command),
            cwd=str(place.work),
            uid=who.uid,
            timeout=command.timeout.total_seconds(),
            grace=self._pace.grace.total_seconds(),
            lease=self._pace.lease.total_seconds(),
            limits={
                "AS": command.memory or limits.memory,
                "CORE": 0,
                "CPU": (seconds + 1) * (os.cpu_count() or 1),
                "FSIZE": limits.outputs_bytes,
                "NOFILE": limits.open_files,
                "NPROC": limits.processes,
            },
        )

    def _resolved(self, argv: Argv) -> Argv:
        return (str(self._interpreter), *argv[1:]) if argv[0] == "python" else argv

    async def _result(self, place: Workspace, ending: Ending, output: Captured) -> StageResult:
        outcome, outputs, tail = _outcome(ending), None, output.tail
        if outcome is Outcome.PASSED:
            try:
                outputs = await self._stored(place.outputs)
            except InvalidError as refused:
                outcome, tail = Outcome.FAILED, with_note(tail, f"its outputs cannot be stored: {refused}")
        started = datetime.fromtimestamp(ending.started_at, UTC)
        return StageResult(
            outcome=outcome,
            exit_code=_exit_code(ending),
            signal=_signal(ending),
            timed_out=ending.why == "timeout",
            started_at=started,
            ended_at=started + timedelta(seconds=ending.wall),
            wall=timedelta(seconds=ending.wall),
            cpu=timedelta(seconds=ending.cpu),
            peak_memory=ending.peak_memory,
            output_bytes=output.size,
            output_digest=output.digest,
            head=output.head,
            tail=tail,
            truncated=output.truncated,
            rows=await asyncio.to_thread(place.rows),
            outputs=outputs,
        )

    async def _stored(self, outputs: Path) -> Digest:
        limits = self._limits
        return await self._blobs.put_tree(outputs, max_bytes=limits.outputs_bytes, max_files=limits.outputs_files)

    def _refuse_unreachable(self) -> None:
        for needed in (self._workspace, self._interpreter, self._interpreter.parent):
            if (closed := unreachable(needed)) is not None:
                raise InvalidError(f"stages run as ordinary users, and those cannot pass {closed} on the way to {needed}")


def _refuse_other_secrets(attempt: Attempt) -> None:
    named, given = set(attempt.command.secrets), set(attempt.secrets)
    if named != given:
        raise InvalidError(f"expected the secrets {sorted(named)}, got {sorted(given)}")


def _refuse_lost(ending: Ending) -> None:
    if ending.why == "lease":
        raise LeaseLostError("this worker has not kept its lease, so its stage was killed")
    if ending.why == "worker" or ending.status is None:
        raise UnavailableError("the supervisor of the stage was asked to end by somebody else")


def _beat(watched: Supervisor, attempt: Attempt) -> Callable[[], None]:
    def beat() -> None:
        if attempt.held is None or attempt.held():
            watched.renew()
        attempt.heartbeat()

    return beat


def _exit_code(ending: Ending) -> int | None:
    return os.WEXITSTATUS(ending.status) if ending.status is not None and os.WIFEXITED(ending.status) else None


def _signal(ending: Ending) -> int | None:
    return os.WTERMSIG(ending.status) if ending.status is not None and os.WIFSIGNALED(ending.status) else None


def _outcome(ending: Ending) -> Outcome:
    if ending.why == "timeout":
        return Outcome.FAILED
    match _exit_code(ending):
        case 0:
            return Outcome.PASSED
        case 75:
            return Outcome.RETRY
        case _:
            return Outcome.FAILED
