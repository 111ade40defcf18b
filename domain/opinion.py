"""What suture thinks of an incident, as a dashboard in somebody's own database shows it."""

from typing import Annotated

from pydantic import BeforeValidator

from domain.base import IncidentId, Value
from domain.incident import Severity, Status

LONGEST = 1_000


def _cut(text: object) -> object:
    return f"{text[: LONGEST - 1]}…" if isinstance(text, str) and len(text) > LONGEST else text


Shown = Annotated[str, BeforeValidator(_cut)]
"""A longer text is cut to `LONGEST` letters."""


class Opinion(Value):
    """One row of a table of verdicts: its fields are that table's columns. None is what nobody knows yet.

    `subject` is what broke, by the keys of its signals. `cause` is the likeliest hypothesis in words, with its `confidence`;
    `plan` is what the newest plan would do, with its `risk`.
    """

    incident: IncidentId
    subject: Shown | None
    service: Shown
    title: Shown
    status: Status
    severity: Severity
    cause: Shown | None = None
    confidence: float | None = None
    plan: Shown | None = None
    risk: float | None = None


class Unwritten(Value):
    """Why opinions were not written; if it is for these incidents alone, all others were."""

    reason: str
    incidents: frozenset[IncidentId] = frozenset()
