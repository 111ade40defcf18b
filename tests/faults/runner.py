"""The fake target of plan steps: a `Runner` with its own append-only ledger, versions, fences and one knob."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from domain.base import OrgId
from domain.errors import LeaseLostError, StalePlanError
from domain.outcome import StepResult
from domain.plan import Command, FixPlan, Target
from domain.preflight import DryRun, Fidelity
from domain.stage import ProbeAnswer


@dataclass(frozen=True)
class StepEffect:
    """One line of the ledger; never changed, never removed."""

    org: OrgId
    plan: str
    digest: str
    key: str
    target: str
    fence: int
    argv: tuple[str, ...]
    version: str
    at: float


Knob = Callable[[str], Awaitable[None]]


async def at_once(key: str) -> None:
    """Neither slow nor failing."""


class LedgerRunner:
    """Each key has one effect, under the newest fence it has seen, on the version the plan expects.

    The knob is awaited with the key just before the effect's own transaction; it may wait or raise.
    """

    name = "ledger"
    version = "1"

    def __init__(self) -> None:
        self.ledger: list[StepEffect] = []
        self.refused: list[str] = []
        self.knob: Knob = at_once
        self._versions: defaultdict[str, int] = defaultdict(int)
        self._fences: defaultdict[str, int] = defaultdict(int)
        self._transaction = asyncio.Lock()

    def drift(self, target: Target) -> None:
        """Somebody else changes the target."""
        self._versions[target.key] += 1

    async def target(self, org: OrgId, target: Target) -> Target:
        return target.model_copy(update={"version": str(self._versions[target.key])})

    async def snapshot(self, org: OrgId, target: Target) -> Mapping[str, object]:
        return {"version": self._versions[target.key]}

    async def dry_run(self, plan: FixPlan, *, heartbeat: Callable[[], None]) -> tuple[DryRun, ...]:
        return tuple(DryRun(step=step.index, fidelity=Fidelity.SERVER, passed=True, output="ok") for step in plan.steps)

    async def run(self, plan: FixPlan, target: Target, command: Command, *, key: str, holder: str, fence: int) -> StepResult:
        await self.knob(key)
        async with self._transaction:
            if (applied := self._applied(key)) is not None:
                return applied
            self._refuse(target, key, fence)
            self._fences[target.key] = fence
            self._versions[target.key] += 1
            effect = StepEffect(
                org=plan.org,
                plan=str(plan.id),
                digest=plan.digest,
                key=key,
                target=target.key,
                fence=fence,
                argv=command.argv,
                version=str(self._versions[target.key]),
                at=time.time(),
            )
            self.ledger.append(effect)
        return StepResult(exit_code=0, output="done", version=effect.version)

    async def probe(
        self, plan: FixPlan, target: Target, command: Command, *, key: str
    ) -> tuple[ProbeAnswer, StepResult | None]:
        async with self._transaction:
            applied = self._applied(key)
        return (ProbeAnswer.DONE, applied) if applied else (ProbeAnswer.NOT_DONE, None)

    def _applied(self, key: str) -> StepResult | None:
        found = next((each for each in self.ledger if each.key == key), None)
        return StepResult(exit_code=0, output="done", version=found.version) if found else None

    def _refuse(self, target: Target, key: str, fence: int) -> None:
        if fence < self._fences[target.key]:
            self.refused.append(key)
            raise LeaseLostError(f"fence {fence} is older than {self._fences[target.key]}")
        if target.version != str(self._versions[target.key]):
            self.refused.append(key)
            raise StalePlanError(f"{target.name} is at {self._versions[target.key]}, the plan expects {target.version}")
