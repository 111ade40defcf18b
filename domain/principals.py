"""What is asked of the directory of principals: a new one, a change, a token."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from domain.base import PrincipalId, Value
from domain.errors import ForbiddenError
from domain.identity import Caller, Kind, Role, Token

PersonName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]+$")]
Scope = Annotated[str, StringConstraints(max_length=100, pattern=r"^(\*|[a-z][a-z_-]*:\*|[a-z][a-z_-]*\.[a-z][a-z_-]*)$")]


class NewPrincipal(Value):
    kind: Kind = Kind.PERSON
    name: PersonName
    email: Email | None = None
    owner: PrincipalId | None = None
    roles: frozenset[Role] = frozenset()


class PrincipalPatch(Value):
    """Only what is set changes."""

    name: PersonName | None = None
    email: Email | None = None
    roles: frozenset[Role] | None = None
    is_active: bool | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expected at least one field to change")
        return self


class NewToken(Value):
    principal: PrincipalId
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=50)
    expires_in: timedelta | None = Field(default=None, gt=timedelta(0), le=timedelta(days=3660))


class IssuedToken(Value):
    """A token with its secret, which is shown this once."""

    token: Token
    secret: SecretStr


def check_may_grant(caller: Caller, scopes: tuple[str, ...]) -> None:
    """Refuse a token that may more than the one it is asked with.

    Raises:
        ForbiddenError: names the scope that is too wide.
    """
    for scope in scopes:
        covered = caller.scopes & {"*", scope} or (not scope.endswith("*") and caller.has_scope(scope))
        if not covered:
            raise ForbiddenError(f"a token cannot grant the scope {scope}, which it does not have itself")
