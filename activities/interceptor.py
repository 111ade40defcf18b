"""What holds for every activity: it is bound to its trace and org, spanned, timed, and its refusals are told to the engine."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, TemporalError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.headers import org_in, trace_in
from domain.errors import ForbiddenError, HealError
from domain.trace import current_trace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from services.ports import Metrics, Spans

_NO_RUN = str(UUID(int=1))
log = logging.getLogger("suture.activities")
STAGES = {
    "fail_run": "signal.ingest",
    "judge_anomalies": "anomaly.detect",
    "diagnose": "rca.hypothesize",
    "plan_fix": "fix.plan",
    "plan_recovery": "fix.plan",
    "rehearse": "preflight",
    "judge_preflight": "preflight",
    "begin_remediation": "execute",
    "prepare_targets": "execute",
    "run_step": "execute",
    "verify": "verify",
}
"""The span of each activity that is a stage of the story; what only keeps records has none."""


class ObservedActivities(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, spans: Spans | None, metrics: Metrics | None) -> None:
        super().__init__(following)
        self._spans = spans
        self._metrics = metrics

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 (the name is the engine's)
        """Raises ApplicationError for every HealError: its code as the type, retried only where that may help."""
        told = activity.info()
        trace = trace_in(input.headers, workflow_id=told.workflow_id or "", run_id=told.workflow_run_id or _NO_RUN)
        token, began, outcome = current_trace.set(trace), time.monotonic(), "failed"
        try:
            _check_org(told.workflow_id or "", input.args)
            with self._span(told):
                found = await self.next.execute_activity(input)
            outcome = "done"
        except HealError as error:
            outcome = error.code
            raise refusal(error) from error
        except Exception as error:
            if not isinstance(error, TemporalError):
                outcome = "broken"
                # A record is kept by asking again for ever, so a bug has to be seen here.
                log.exception("activity is broken", extra={"activity": told.activity_type, "attempt": told.attempt})
            raise
        else:
            return found
        finally:
            if self._metrics is not None:
                self._metrics.activity_ended(told.activity_type, outcome, time.monotonic() - began)
            current_trace.reset(token)

    def _span(self, told: activity.Info) -> AbstractContextManager[Any]:
        name = STAGES.get(told.activity_type)
        if self._spans is None or name is None:
            return nullcontext()
        return self._spans.open(name, activity=told.activity_type, attempt=str(told.attempt))


_NESTED = ("plan", "incident", "ref", "recovery")


def _check_org(workflow_id: str, args: Sequence[object]) -> None:
    """Raises ForbiddenError: the argument is about another org than the one whose workflow this is."""
    org = org_in(workflow_id)
    for argument in args:
        parts = (argument, *(getattr(argument, name, None) for name in _NESTED))
        for named in (getattr(part, "org", None) for part in parts):
            if named is not None and named != org:
                raise ForbiddenError("the argument is about another org than the workflow")


def refusal(error: HealError) -> ApplicationError:
    """The engine's word for a refusal; one that no repetition mends is an answer, not a fault to alarm about."""
    category = ApplicationErrorCategory.UNSPECIFIED if error.retryable else ApplicationErrorCategory.BENIGN
    return ApplicationError(str(error), type=error.code, non_retryable=not error.retryable, category=category)
