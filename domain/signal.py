"""A signal: one thing that was observed; and the signature that groups those of one cause."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints

from domain.base import IncidentId, Instant, OrgId, SignalId, Value, WorkflowId
from domain.canonical import digest

SIGNATURE_VERSION = "1"
Text = Annotated[str, StringConstraints(max_length=65_536)]
Short = Annotated[str, StringConstraints(max_length=255)]


LATE, EARLY = timedelta(hours=1), timedelta(minutes=5)


class Timing(StrEnum):
    """Whether what a sender tells is of now: it may be an hour old, and its clock five minutes ahead."""

    PRESENT = "present"
    LATE = "late"
    EARLY = "early"


def timing(ts: Instant, received_at: Instant) -> Timing:
    if received_at - ts > LATE:
        return Timing.LATE
    return Timing.EARLY if ts - received_at > EARLY else Timing.PRESENT


class SignalKind(StrEnum):
    LOG = "log"
    METRIC = "metric"
    EVENT = "event"
    DEPLOY = "deploy"
    EXECUTION = "execution"


class Signal(Value):
    """`count` is how many of a storm it stands for: itself, and those that say the same of other numbers."""

    id: SignalId | None = None
    source: Short
    kind: SignalKind
    ts: Instant
    event_type: Short | None = None
    key: Short = ""
    value: float | None = Field(default=None, allow_inf_nan=False)
    text: Text | None = None
    service: Short | None = None
    environment: Short | None = None
    severity: Short | None = None
    workflow_id: WorkflowId | None = None
    incident_id: IncidentId | None = None
    idempotency_key: Short | None = None
    correlation_id: Short | None = None
    trace_id: Short | None = None
    labels: dict[Short, Short] = Field(default_factory=dict, max_length=64)
    payload: dict[str, JsonValue] = Field(default_factory=dict)
    meta: dict[str, JsonValue] = Field(default_factory=dict)
    received_at: Instant | None = None
    count: int = Field(default=1, ge=1)

    @property
    def headline(self) -> str:
        """The first line that it says, or what it is about."""
        said = f"{self.text or ''}\n{self.key}\na signal of {self.source}"
        return next(line for line in said.splitlines() if line.strip())[:255]

    @property
    def timing(self) -> Timing:
        """What is not of now opens nothing, and counts for its own time if at all."""
        return timing(self.ts, self.received_at or self.ts)


_VARIABLE = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+", re.IGNORECASE)


def normalised(code: str) -> str:
    """An error code without what differs from one occurrence to the next."""
    return _VARIABLE.sub("#", code.strip().lower())[:128]


def signature(*, org: OrgId, service: str, error_code: str, workflow: str, subject: str = "") -> str:
    """64 hex digits that are equal for the same error of the same workflow and service in one org.

    `subject` tells apart what the code does not, and is taken as it is: an alert's fingerprint is no number to leave out.
    """
    named = [subject] if subject else []
    return digest([SIGNATURE_VERSION, str(org), service, normalised(error_code), workflow, *named])
