"""Who acts, in which org, and what stops them: principals, tokens, quotas, kill switches."""

from enum import StrEnum

from pydantic import Field

from domain.base import Instant, KillSwitchId, Name, OrgId, PrincipalId, TokenId, Value, WorkflowId
from domain.errors import ForbiddenError, InvalidError


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    AUTHOR = "author"
    APPROVER = "approver"
    ADMIN = "admin"
    POLICY_AUTHOR = "policy_author"


class Kind(StrEnum):
    PERSON = "person"
    SERVICE = "service"


class Org(Value):
    id: OrgId
    name: str
    is_active: bool
    automatic_released: bool


class Environment(Value):
    name: Name
    is_production: bool


class Principal(Value):
    id: PrincipalId
    org: OrgId
    kind: Kind
    name: str
    email: str | None = None
    owner: PrincipalId | None = None
    roles: frozenset[Role] = frozenset()
    is_active: bool = True

    @property
    def is_person(self) -> bool:
        return self.kind is Kind.PERSON


class Caller(Value):
    """A principal as a verified credential presents it."""

    principal: Principal
    token: TokenId
    issuer: PrincipalId
    scopes: frozenset[str]
    auth_method: str = "token"

    @property
    def org(self) -> OrgId:
        return self.principal.org

    @property
    def id(self) -> PrincipalId:
        return self.principal.id

    def has_scope(self, action: str) -> bool:
        """Whether the token covers `action` (`noun.verb`): by `*`, by `noun:*` or by the action itself."""
        return bool(self.scopes & {"*", f"{action.partition('.')[0]}:*", action})


class Token(Value):
    """A token as everybody may see it; its secret is shown once and never stored."""

    id: TokenId
    principal: PrincipalId
    issuer: PrincipalId
    scopes: tuple[str, ...]
    created_at: Instant
    expires_at: Instant | None = None
    last_used_at: Instant | None = None
    revoked_at: Instant | None = None


class SwitchLevel(StrEnum):
    """From wide to narrow; `global` and `region` are platform acts."""

    GLOBAL = "global"
    REGION = "region"
    ORG = "org"
    WORKFLOW = "workflow"
    VENDOR = "vendor"
    ACTION = "action"


class KillSwitch(Value):
    id: KillSwitchId | None = None
    level: SwitchLevel
    subject: str
    is_active: bool
    reason: str
    workflow_id: WorkflowId | None = None
    changed_by: PrincipalId | None = None
    changed_at: Instant


class SwitchScope(Value):
    """What an effect touches, so that each switch above it can be asked."""

    workflow: str
    action: str
    vendor: str = ""


NARROW_QUOTAS = ("signals:workflow:", "signals:vendor:")
"""What begins the name of a quota that an org may set beside the common ones: of one workflow, by its id, or one source."""


class Quota(Value):
    name: str
    per_minute: int


class Allowance(Value):
    """What is left of a quota in this minute, what was just used included."""

    per_minute: int
    used: int
    resets_in: int = Field(ge=1, le=60)

    @property
    def remaining(self) -> int:
        return max(0, self.per_minute - self.used)

    @property
    def is_exceeded(self) -> bool:
        return self.used > self.per_minute


def check_may_hold(kind: Kind, roles: frozenset[Role], owner: PrincipalId | None) -> None:
    """Refuse a principal that could decide without being a person.

    Raises:
        ForbiddenError: a service account with the approver role.
        InvalidError: a service account without an owner, or a person with one.
    """
    if kind is Kind.SERVICE and Role.APPROVER in roles:
        raise ForbiddenError("a service account never approves: give the role approver to a person")
    if (kind is Kind.SERVICE) != (owner is not None):
        raise InvalidError("a service account names its owner, a person has none", pointer="/owner")
