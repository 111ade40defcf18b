"""What stops an effect or a request: an inactive org, an unknown or inactive workflow, a spent quota, a kill switch."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import Instant, OrgId, WorkflowId
from domain.errors import ForbiddenError, NotFoundError, QuotaExceededError, StoppedError
from domain.identity import KillSwitch, SwitchLevel, SwitchScope
from storage import identity, quotas, switches, workflows
from storage.engine import now

DEFAULT_QUOTAS: Mapping[str, int] = MappingProxyType({"signals": 60_000, "runs": 600, "requests": 6_000})
_ALWAYS_THERE = (SwitchLevel.GLOBAL, SwitchLevel.REGION, SwitchLevel.ORG)


class Guard:
    """Every check reads in the caller's transaction and remembers nothing."""

    def __init__(self, *, region: str, defaults: Mapping[str, int] = DEFAULT_QUOTAS, keeps_orgs_apart: bool = True) -> None:
        """`keeps_orgs_apart`: whether a stage runs here as a user of its own, who can read no other org's files."""
        self._region = region
        self._defaults = defaults
        self._keeps_orgs_apart = keeps_orgs_apart

    async def check_org_active(self, session: AsyncSession, org: OrgId) -> None:
        """Raises ForbiddenError or NotFoundError: the org may do nothing, or is not the transaction's."""
        if not (await identity.get_org(session, org)).is_active:
            raise ForbiddenError(f"the org {org.shown} is not active")

    async def check_workflow(self, session: AsyncSession, org: OrgId, named: str | WorkflowId) -> WorkflowId:
        """The id of the workflow with this name or id.

        Raises:
            NotFoundError: the org has no such workflow.
            StoppedError: it is inactive, or its kill switch is engaged.
        """
        found = await workflows.find(session, named)
        if found is None:
            raise NotFoundError(f"no such workflow in {org.shown}")
        if not found.is_active:
            raise StoppedError(f"the workflow {found.name} is not active")
        _refuse_engaged(await switches.hold(session, found.id, found.name))
        return found.id

    async def check_may_act(self, session: AsyncSession, org: OrgId, scope: SwitchScope) -> None:
        """Just before an effect: the org's switches stay as they are until the transaction ends.

        Raises:
            StoppedError: names the widest engaged switch and why; a switch that cannot be read counts as engaged.
                An org that is not active acts no more than one that is stopped.
        """
        found = await switches.hold_over(session, self._region, scope)
        for level in _ALWAYS_THERE:
            if not any(switch.level is level for switch in found.switches):
                raise StoppedError(f"the kill switch of the level {level} cannot be read in {org.shown}, so nothing acts")
        _refuse_engaged(found.switches)
        if not found.org_is_active:
            raise StoppedError(f"the org {org.shown} is not active")

    async def check_may_run_code(self, session: AsyncSession, org: OrgId) -> None:
        """Raises ForbiddenError: the code of this org would run as the user whose files hold the stack's secrets."""
        if not self._keeps_orgs_apart and not await identity.is_first(session, org):
            raise ForbiddenError(
                "this worker was not started by root, so stages run as its own user: "
                "it runs the pipelines of the installation's first org alone"
            )

    async def check_quota(self, session: AsyncSession, name: str, amount: int) -> int:
        """How many are allowed, if by what was counted so far there is room for `amount`; nobody waits, nothing is counted.

        Raises:
            QuotaExceededError, NotFoundError: as `spend_quota`.
        """
        allowed = await self.quota(session, name)
        used, began = await quotas.spent(session, name)
        await self._check(session, name, allowed, used + amount, began)
        return allowed

    async def spend_quota(
        self, session: AsyncSession, org: OrgId, name: str, amount: int, *, allowed: int | None = None
    ) -> None:
        """Count `amount` against the minute of the database's clock, if the transaction commits.

        Whoever counts for the same org waits until it does: spend late in a transaction. `allowed` is what `check_quota` has
        said in it, where that was asked.

        Raises:
            QuotaExceededError: says when the next minute begins.
            NotFoundError: nothing is called so, neither by the org nor by default.
        """
        if allowed is None:
            allowed = await self.quota(session, name)
        await self._check(session, name, allowed, *await quotas.spend(session, org, name, amount))

    async def _check(self, session: AsyncSession, name: str, allowed: int, used: int, began: Instant) -> None:
        if used > allowed:
            seconds = max(1, 60 - int((await now(session) - began).total_seconds()))
            raise QuotaExceededError(f"the quota {name} is {allowed} per minute and would be {used}; try again in {seconds} s")

    async def spend_narrow(self, session: AsyncSession, org: OrgId, amounts: Mapping[str, int]) -> dict[str, int]:
        """Count each amount against the quota of that name, where the org has set one; the quotas that are exceeded by it."""
        allowed = {each.name: each.per_minute for each in await quotas.named(session, amounts)}
        used = {name: (await quotas.spend(session, org, name, amounts[name]))[0] for name in sorted(allowed)}
        return {name: allowed[name] for name in allowed if used[name] > allowed[name]}

    async def quota(self, session: AsyncSession, name: str) -> int:
        """How many per minute: the org's own number, else the default."""
        own = await quotas.get(session, name)
        if own is not None:
            return own.per_minute
        if name not in self._defaults:
            raise NotFoundError(f"no quota is called {name}; there are {', '.join(sorted(self._defaults))}")
        return self._defaults[name]


def _refuse_engaged(found: Sequence[KillSwitch]) -> None:
    engaged = [switch for switch in found if switch.is_active]
    if engaged:
        order = list(SwitchLevel)
        widest = min(engaged, key=lambda switch: order.index(switch.level))
        raise StoppedError(f"the kill switch {widest.level} {widest.subject} is engaged: {widest.reason or 'no reason given'}")
