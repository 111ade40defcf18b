"""Whether a caller may do one act: the token's scopes always, then its roles, here or by policy."""

from collections.abc import Mapping
from types import MappingProxyType

from domain.errors import ForbiddenError
from domain.identity import Caller, Role
from domain.policy import AuthorizationFacts, PrincipalFacts, ResourceFacts
from services.ports import Policy

_READS = (
    "anomaly.read",
    "approval.read",
    "audit.read",
    "connector.read",
    "decision.read",
    "detector.read",
    "environment.read",
    "event.read",
    "incident.read",
    "kill_switch.read",
    "operation.read",
    "pipeline.read",
    "plan.read",
    "principal.read",
    "quota.read",
    "recovery.read",
    "run.read",
    "workflow.read",
)
IN_PROCESS: Mapping[str, frozenset[Role]] = MappingProxyType(
    dict.fromkeys(_READS, frozenset(Role))
    | {
        "token.read": frozenset({Role.ADMIN}),
        "event.write": frozenset({Role.OPERATOR, Role.AUTHOR, Role.ADMIN}),
        "kill_switch.engage": frozenset(Role) - {Role.VIEWER},
    }
)
"""Reading, ingest and engaging a switch: they work while the policy engine is down."""


async def check_allowed(policy: Policy, caller: Caller, action: str) -> None:
    """Refuse an act (`noun.verb`) that the caller's token or roles do not cover.

    Raises:
        ForbiddenError: with the codes of everything that speaks against it.
        UnavailableError: policy had to be asked and cannot be.
    """
    if not caller.has_scope(action):
        raise ForbiddenError(f"AZ006: the token's scopes do not cover {action}")
    if action in IN_PROCESS:
        if not caller.principal.roles & IN_PROCESS[action]:
            raise ForbiddenError(f"AZ004: none of the principal's roles may do {action}")
        return
    resource = ResourceFacts(type=action.partition(".")[0], org=caller.org)
    question = AuthorizationFacts(action=action, principal=PrincipalFacts.of(caller), resource=resource)
    if reasons := await policy.authorize(question):
        raise ForbiddenError("; ".join(f"{each.code}: {each.msg}" for each in reasons))
