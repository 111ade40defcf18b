"""What was tried and asked before anybody is asked to agree."""

from enum import StrEnum

from domain.base import Digest, Instant, PlanId, PreflightId, Value
from domain.policy import Reason, Tier
from domain.refs import PlanRef


class Fidelity(StrEnum):
    """How true a dry-run is: run by the target itself, simulated by us, or not there."""

    SERVER = "server"
    SIMULATED = "simulated"
    NONE = "none"


class ChangedTarget(Value):
    """A dry-run that was none: the probe of its stage no longer says what it said before."""

    stage: str
    message: str


class DryRun(Value):
    step: int
    fidelity: Fidelity
    passed: bool
    output: str
    changed: ChangedTarget | None = None


class Drift(Value):
    """A target that no longer is as the planner read it."""

    target: str
    expected: str
    found: str


class Preflight(Value):
    id: PreflightId
    plan: PlanId
    digest: Digest
    dry_runs: tuple[DryRun, ...]
    drift: tuple[Drift, ...]
    refusals: tuple[Reason, ...]
    tier: Tier
    reasons: tuple[Reason, ...]
    policy_revision: str
    valid_until: Instant

    @property
    def passed(self) -> bool:
        return not self.refusals and not self.drift and all(run.passed for run in self.dry_runs)


class DryRuns(Value):
    """What the dry-runs of a plan said, carried from the pool that ran them."""

    plan: PlanRef
    runs: tuple[DryRun, ...]


class Preflighted(Value):
    """What the workflow needs to know of a preflight."""

    id: PreflightId
    tier: Tier
    passed: bool
    changed: bool
