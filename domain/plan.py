"""A fix plan: frozen, ordered steps with rendered commands, and the digest by which it is trusted."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from domain.base import Digest, IncidentId, Instant, OrgId, PlanId, PrincipalId, Value
from domain.canonical import canonical, digest
from domain.errors import InvalidError


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Reversibility(StrEnum):
    REVERSIBLE = "reversible"
    COMPENSABLE = "compensable"
    FREEZE_ONLY = "freeze_only"


class Direction(StrEnum):
    DO = "do"
    UNDO = "undo"


class Mode(StrEnum):
    """`auto` executes as soon as it is granted; `suggest` waits for an operator."""

    AUTO = "auto"
    SUGGEST = "suggest"


class EffectClass(StrEnum):
    """What may be done when nobody knows whether an effect happened."""

    KEYED = "keyed"
    PROBE = "probe"
    ONCE = "once"


class PlanStatus(StrEnum):
    DRAFT = "draft"
    AWAITING_APPROVAL = "awaiting_approval"
    GRANTED = "granted"
    EXECUTING = "executing"
    VERIFIED = "verified"
    ROLLED_BACK = "rolled_back"
    REJECTED = "rejected"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    SUPERSEDED = "superseded"
    NEEDS_HUMAN = "needs_human"


_LONGEST_LINE = 4096
_LARGEST_PLAN = 64 * 1024


_ON_ITS_WAY = (PlanStatus.DRAFT, PlanStatus.AWAITING_APPROVAL, PlanStatus.GRANTED, PlanStatus.EXECUTING)
CLOSED = frozenset(PlanStatus) - frozenset(_ON_ITS_WAY)


def may_follow(before: PlanStatus, after: PlanStatus) -> bool:
    """Whether a plan has this move: it only goes on, nothing but a granted plan is executed, and what is closed stays closed.

    One that was withdrawn while it was executed still says how that ended.
    """
    if after in CLOSED:
        return True
    if after is PlanStatus.EXECUTING:
        return before in {PlanStatus.GRANTED, PlanStatus.EXECUTING}
    return before not in CLOSED and _ON_ITS_WAY.index(before) <= _ON_ITS_WAY.index(after)


Argument = Annotated[
    str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]+$")
]


class Target(Value):
    """A thing that an effect changes, and the version of it that the planner read."""

    kind: str
    id: str
    name: str
    version: str

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.id}"


class Command(Value):
    """What a runner is told, as argv: no shell ever sees it."""

    tool: str
    argv: tuple[Argument, ...] = Field(min_length=1, max_length=64)

    @property
    def script(self) -> str:
        """One argument per line, as people read it; nothing can hide behind a long line."""
        return "\n".join(self.argv)


class Step(Value):
    index: int
    summary: str
    target: Target
    do: Command
    undo: Command | None
    effect: EffectClass


class Excluded(Value):
    """An action that was considered and left out."""

    action: str
    reason: str


class FixPlan(Value):
    id: PlanId
    org: OrgId
    incident: IncidentId
    environment: str
    is_production: bool
    action: str
    summary: str
    why: str
    risk: Risk
    reversibility: Reversibility
    confidence: float = Field(ge=0, le=1)
    mode: Mode
    steps: tuple[Step, ...]
    runner: str
    runner_version: str
    policy_revision: str
    excluded: tuple[Excluded, ...] = ()
    authors: tuple[PrincipalId, ...] = ()
    requested_by: PrincipalId | None = None
    supersedes: PlanId | None = None

    @property
    def digest(self) -> Digest:
        """SHA-256 of the plan's canonical JSON: everything in it, and nothing that changes later."""
        return digest(self)

    @property
    def risk_score(self) -> float:
        return {Risk.LOW: 0.2, Risk.MEDIUM: 0.5, Risk.HIGH: 0.9}[self.risk]

    @property
    def targets(self) -> tuple[Target, ...]:
        """Each target once, sorted, so that leases are always taken in one order."""
        return tuple(target for _, target in sorted({step.target.key: step.target for step in self.steps}.items()))

    def key(self, step: Step, direction: Direction) -> str:
        return f"{self.id}/{step.index}/{direction}"


def check_readable(plan: FixPlan) -> None:
    """Refuse a plan that people would not read to its end: what is cut off cannot be agreed to.

    Raises:
        InvalidError: it is too large as a whole, or one text in it is too long.
    """
    size = len(canonical(plan))
    if size > _LARGEST_PLAN:
        raise InvalidError(f"the plan is {size} bytes of JSON, people are asked about {_LARGEST_PLAN} at most")
    longest = max(len(text) for text in _texts(plan.model_dump(mode="json")))
    if longest > _LONGEST_LINE:
        raise InvalidError(f"the plan has a text of {longest} letters, people are asked about {_LONGEST_LINE} at most")


def _texts(plain: Any) -> Iterator[str]:
    match plain:
        case str():
            yield plain
        case list():
            for item in plain:
                yield from _texts(item)
        case dict():
            for item in plain.values():
                yield from _texts(item)


class PlanState(Value):
    """A plan as it stands: what is frozen, and how far it has come."""

    plan: FixPlan
    digest: Digest
    status: PlanStatus
    carrier: str
    created_at: Instant
    updated_at: Instant
    heal_by: Instant | None = None
    """When the last of the runs that it could heal gives up."""
