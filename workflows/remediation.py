"""Execute one granted plan: prepare, each step once, verify, and undo in reverse when it made things worse."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.acting import Acting
    from activities.execution import Execution
    from domain.errors import LeaseLostError
    from domain.execution import Unserved
    from domain.outcome import (
        Begun,
        RemediationEnd,
        RemediationOutcome,
        StepOutcome,
        StepRef,
        VerdictOutcome,
        VerifyLook,
    )
    from domain.plan import Direction
    from domain.refs import PlanErrand
    from workflows import details, options
    from workflows.serving import served
    from workflows.trying import Tries, is_refused, is_untouched

T = TypeVar("T")

_AT_LEAST = timedelta(minutes=30)
"""How long an undo waits for a worker, and an outage is waited out, although the evidence is due; the leases outlive this."""
_TAKEN_UP_WITHIN = timedelta(minutes=3)
"""What nobody takes up within this time is not begun: a person looks instead."""


@workflow.defn
class RemediationWorkflow:
    @workflow.init
    def __init__(self, errand: PlanErrand) -> None:
        self._ref = errand.ref
        self._woken = 0
        self._begun: list[int] = []
        self._judge_by = workflow.now()

    @workflow.run
    async def run(self, errand: PlanErrand) -> RemediationOutcome:
        begun = await workflow.execute_activity_method(
            Acting.begin_remediation, self._ref, task_queue=Acting.queue, **options.policy(errand.heal_by)
        )
        if begun.outcome is not None:
            return await self._end(begun.outcome)
        self._judge_by = workflow.now() + begun.verify_within
        try:
            outcome = await self._act(begun)
        except BaseException as error:
            if not is_cancelled_exception(error) and not isinstance(error, ActivityError):
                raise
            undone = await self._end(await self._undo(begun))
            if is_cancelled_exception(error):
                raise
            return undone
        return await self._end(outcome)

    @workflow.signal
    def wake(self) -> None:
        """A resumed stage has ended, or a switch has been engaged; the database says which."""
        self._woken += 1

    async def _act(self, begun: Begun) -> RemediationOutcome:
        details.show("preparing targets")
        try:
            await self._prepare(begun)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return RemediationOutcome.STALE if _is_held_elsewhere(error) else RemediationOutcome.STOPPED
        for index in begun.steps:
            details.show(f"step {index}")
            match await self._step(begun, index, Direction.DO):
                case StepOutcome.DONE | StepOutcome.NOTHING:
                    self._note_begun(index)
                case StepOutcome.STOPPED:
                    return RemediationOutcome.STOPPED
                case StepOutcome.STALE:
                    return await self._undo_earlier(begun, index, RemediationOutcome.STALE)
                case StepOutcome.UNTOUCHED:
                    return await self._undo_earlier(begun, index, RemediationOutcome.STOPPED)
                case StepOutcome.FAILED:
                    self._note_begun(index)
                    return await self._undo(begun)
                case StepOutcome.UNKNOWN:
                    return RemediationOutcome.UNDO_FAILED
        _check_wanted()
        return await self._verify(begun)

    async def _verify(self, begun: Begun) -> RemediationOutcome:
        details.show("judging the evidence")
        is_told = False
        while True:
            seen = self._woken
            if await workflow.execute_activity_method(Acting.is_stopped, self._ref, task_queue=Acting.queue, **options.RECORD):
                return RemediationOutcome.STOPPED
            look = VerifyLook(plan=self._ref, judge_by=begun.judge_by)
            verdict = await workflow.execute_activity_method(Acting.verify, look, task_queue=Acting.queue, **options.RECORD)
            match verdict:
                case VerdictOutcome.PASS:
                    return RemediationOutcome.VERIFIED
                case VerdictOutcome.FAIL:
                    return await self._undo(begun)
                case VerdictOutcome.INCONCLUSIVE:
                    return RemediationOutcome.INCONCLUSIVE
                case None:
                    if not is_told:
                        details.enter("verify", "waiting for the evidence")
                        is_told = True
                    await self._wait(seen, self._judge_by - workflow.now())

    def _note_begun(self, index: int) -> None:
        """A worker may have acted: from now on the step is one of those to undo."""
        if index not in self._begun:
            self._begun.append(index)

    async def _undo_earlier(self, begun: Begun, index: int, otherwise: RemediationOutcome) -> RemediationOutcome:
        """This step has done nothing, so it is not undone; where it was the first, nothing is."""
        self._begun = [each for each in self._begun if each != index]
        return await self._undo(begun) if self._begun else otherwise

    async def _undo(self, begun: Begun) -> RemediationOutcome:
        """Put back what was begun, the last step first; the first undo that does not succeed stops it."""
        details.enter("undo", "putting everything back")
        for index in reversed(self._begun):
            match await self._step(begun, index, Direction.UNDO):
                case StepOutcome.DONE | StepOutcome.NOTHING:
                    continue
                case StepOutcome.STOPPED:
                    return RemediationOutcome.STOPPED
                case StepOutcome.STALE | StepOutcome.FAILED | StepOutcome.UNTOUCHED | StepOutcome.UNKNOWN:
                    return RemediationOutcome.UNDO_FAILED
        return RemediationOutcome.ROLLED_BACK

    async def _step(self, begun: Begun, index: int, direction: Direction) -> StepOutcome:
        """One step once: what a try leaves unsaid is asked of the next. Lost workers are counted, outages waited out."""
        ref, otherwise = StepRef(plan=self._ref, step=index, direction=direction), StepOutcome.UNTOUCHED
        tries: Tries | None = None
        while True:
            if direction is Direction.DO:
                _check_wanted()
            try:
                return await self._served(begun, partial(self._try, begun, ref), f"{direction} step {index}", direction)
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                if is_untouched(error):
                    return otherwise
                if not is_refused(error):
                    otherwise = StepOutcome.UNKNOWN
                    if direction is Direction.DO:
                        self._note_begun(index)
                tries = tries or Tries(self._patience())
                if not await tries.next_after(error):
                    return otherwise

    def _patience(self) -> datetime:
        return max(self._judge_by, workflow.now() + _AT_LEAST)

    async def _served(
        self, begun: Begun, ask: Callable[[timedelta], Awaitable[T]], stage: str, direction: Direction = Direction.DO
    ) -> T:
        """What a worker of the environment answers: an effect is given up soon when none comes, an undo late."""
        until = self._patience() if direction is Direction.UNDO else workflow.now() + _TAKEN_UP_WITHIN
        work = Unserved(org=self._ref.org, environment=begun.environment, stage=stage, since=workflow.now(), plan=self._ref.id)
        return await served(ask, work, until=until)

    async def _try(self, begun: Begun, ref: StepRef, within: timedelta) -> StepOutcome:
        return await workflow.execute_activity_method(
            Execution.run_step,
            ref,
            task_queue=Execution.queue.format(environment=begun.environment),
            summary=f"{ref.direction} step {ref.step}",
            **options.MUTATE | {"start_to_close_timeout": 10 * begun.lease, "schedule_to_start_timeout": within},
        )

    async def _prepare(self, begun: Begun) -> None:
        queue = Execution.queue.format(environment=begun.environment)
        limits = options.RECORD | {"schedule_to_close_timeout": 10 * begun.lease}

        async def ask(within: timedelta) -> None:
            taken_up = {"schedule_to_start_timeout": min(within, 10 * begun.lease)}
            await workflow.execute_activity_method(Execution.prepare_targets, self._ref, task_queue=queue, **limits | taken_up)

        await self._served(begun, ask, "preparation")

    async def _wait(self, seen: int, left: timedelta) -> None:
        try:
            at_most = max(left, timedelta(seconds=1))
            await workflow.wait_condition(lambda: self._woken != seen, timeout=at_most, timeout_summary="verify within")
        except TimeoutError:
            workflow.logger.info("time for the last look")

    async def _end(self, outcome: RemediationOutcome) -> RemediationOutcome:
        end = RemediationEnd(plan=self._ref, outcome=outcome)
        await workflow.execute_activity_method(Acting.end_remediation, end, task_queue=Acting.queue, **options.RECORD)
        workflow.upsert_search_attributes([details.OUTCOME.value_set(outcome)])
        await workflow.wait_condition(workflow.all_handlers_finished)
        return outcome


def _check_wanted() -> None:
    """Raises CancelledError: the cancellation came while a step ended normally, so nobody has heard it yet."""
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError


def _is_held_elsewhere(error: ActivityError) -> bool:
    """Whether another remediation held a target until there was no time left."""
    cause = error.cause
    while cause is not None:
        if isinstance(cause, ApplicationError) and cause.type == LeaseLostError.code:
            return True
        cause = cause.__cause__
    return False
