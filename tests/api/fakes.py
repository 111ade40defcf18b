"""An engine that carries nothing out by itself, and a policy that knows the role table of the real one."""

import json
from datetime import timedelta
from pathlib import Path

from domain.approval import Settled
from domain.errors import UnavailableError
from domain.identity import Kind, Role
from domain.policy import ApprovalFacts, ApprovalRule, AuthorizationFacts, DecisionFacts, Reason
from domain.refs import FeedRef, IncidentRef, PlanRef, RecoveryRef, RequestRef, RunRef
from services.deciding import Deciding

AUTHZ = json.loads((Path(__file__).parents[2] / "policies/data/authz.json").read_text())["settings"]["authz"]
HOURS = timedelta(hours=1)


class FakeEngine:
    """Settles a decision as its workflow would, unless told to stay silent."""

    def __init__(self) -> None:
        self.deciding: Deciding | None = None
        self.answers = True
        self.is_up = True

    async def start_run(self, ref: RunRef) -> None: ...
    async def wake_feed(self, ref: FeedRef) -> None: ...
    async def wake_incident(self, ref: IncidentRef, carrier: str) -> None: ...
    async def carry_plan(self, ref: PlanRef, carrier: str) -> None: ...
    async def start_recovery(self, ref: RecoveryRef) -> None: ...
    async def wake(self, workflow_id: str) -> None: ...

    async def decide(self, workflow_id: str, request: RequestRef, *, within: timedelta) -> Settled | None:
        if not self.answers or self.deciding is None:
            return None
        return await self.deciding.settle(request)

    async def ping(self) -> None:
        if not self.is_up:
            raise UnavailableError("10.1.2.3:7233 refused")


class RolePolicy:
    """Answers from policies/data/authz.json as the Rego does; `is_up` switches it off."""

    def __init__(self) -> None:
        self.is_up = True

    async def authorize(self, facts: AuthorizationFacts) -> tuple[Reason, ...]:
        self._check_up()
        allowed = {action for role in facts.principal.roles for action in [*AUTHZ["everyone"], *AUTHZ["roles"][role]]}
        reasons = []
        if facts.action not in allowed:
            reasons.append(Reason(code="AZ004", msg="none of the principal's roles may do this"))
        if facts.action in AUTHZ["persons_only"] and facts.principal.kind is not Kind.PERSON:
            reasons.append(Reason(code="AZ005", msg="only a person may do this"))
        return tuple(reasons)

    async def approval_rule(self, facts: ApprovalFacts) -> ApprovalRule:
        self._check_up()
        roles = (Role.APPROVER,)
        return ApprovalRule(
            quorum=1,
            roles=roles,
            ladder=roles,
            decide_within=4 * HOURS,
            execute_within=HOURS,
            remind_after=HOURS,
            escalate_after=2 * HOURS,
            distinct_teams=False,
        )

    async def may_decide(self, facts: DecisionFacts) -> tuple[Reason, ...]:
        self._check_up()
        return ()

    async def revision(self) -> str:
        self._check_up()
        return "test-1"

    def _check_up(self) -> None:
        if not self.is_up:
            raise UnavailableError("http://10.1.2.3:8181 refused")
