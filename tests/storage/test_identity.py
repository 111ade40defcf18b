"""Who a token is, for how long, and who may hand one out."""

from datetime import timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from domain.base import OrgId, PrincipalId, TokenId
from domain.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, UnauthenticatedError
from domain.identity import Kind, Role
from domain.principals import NewPrincipal, NewToken, PrincipalPatch
from services.identity import Identity


async def _issue(identity, tenant, **fields):
    fields = {"principal": tenant.admin.id, "scopes": ("*",)} | fields
    return await identity.create_token(tenant.admin, NewToken(**fields))


async def test_a_token_presents_its_principal(identity, tenant):
    """The caller has the principal's present roles, the token's scopes and its issuer."""
    issued = await _issue(identity, tenant, scopes=("events:*", "incident.read"))
    caller = await identity.authenticate(issued.secret.get_secret_value())
    assert (caller.org, caller.id, caller.issuer) == (tenant.org, tenant.admin.id, tenant.admin.id)
    assert caller.has_scope("events.write")
    assert not caller.has_scope("approval.decide")


def _with(token, *, org=None, identifier=None, secret=None):
    parts = token.split("_")
    return "_".join(["sut", org or parts[1], identifier or parts[2], secret or parts[3]])


@pytest.mark.parametrize(
    "forge",
    [
        lambda token: "",
        lambda token: "sut_",
        lambda token: token + "\n",
        lambda token: token.upper(),
        lambda token: _with(token, secret="0" * 64),
        lambda token: _with(token, org=OrgId(int=7).shown[4:]),
        lambda token: _with(token, identifier=TokenId(int=7).shown[4:]),
        lambda token: _with(token, org="8" + "0" * 25),
        lambda token: "sut_\x00_\ud800_" + "0" * 64,
        lambda token: token * 1000,
    ],
)
async def test_what_does_not_count_is_refused_alike(identity, tenant, forge):
    """Nobody learns from a refusal what was wrong."""
    with pytest.raises(UnauthenticatedError, match=r"^the credential is unknown, expired or revoked$"):
        await identity.authenticate(forge(tenant.token))


async def test_the_org_counts_only_after_the_secret_matched(identity, tenant, found_org):
    """Another org's name in one's own token opens nothing."""
    other = await found_org()
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(_with(tenant.token, org=other.org.shown[4:]))


async def test_the_database_alone_forges_nothing(database, ledger, tenant):
    """A token stored by a server with another key does not count."""
    with pytest.raises(UnauthenticatedError):
        await Identity(database, ledger, hmac_key=b"k" * 32).authenticate(tenant.token)


async def test_a_revoked_token_is_refused_at_once(identity, tenant):
    """The very next call with a revoked token is refused, and revoking it again changes nothing."""
    issued = await _issue(identity, tenant)
    revoked = await identity.revoke_token(tenant.admin, issued.token.id)
    assert revoked.revoked_at is not None
    assert await identity.revoke_token(tenant.admin, issued.token.id) == revoked
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(issued.secret.get_secret_value())


async def test_a_token_expires_by_the_clock_of_the_database(identity, tenant, shift):
    """It counts until its last moment and not after."""
    issued = await _issue(identity, tenant, expires_in=timedelta(hours=1))
    await shift(tenant.org, timedelta(minutes=59))
    await identity.authenticate(issued.secret.get_secret_value())
    await shift(tenant.org, timedelta(minutes=2))
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(issued.secret.get_secret_value())


async def test_a_removed_role_is_gone_at_once(identity, principals, tenant, add_person):
    """Roles are read at every call; so is whether the principal is active."""
    person = await add_person(tenant, Role.APPROVER)
    secret = (await identity.create_token(person, NewToken(principal=person.id, scopes=("*",)))).secret.get_secret_value()
    await principals.change(tenant.admin, person.id, PrincipalPatch(roles=frozenset({Role.VIEWER})))
    assert (await identity.authenticate(secret)).principal.roles == {Role.VIEWER}
    await principals.change(tenant.admin, person.id, PrincipalPatch(is_active=False))
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(secret)


async def test_last_use_is_noted_once_a_minute(identity, tenant, shift):
    """A busy token does not write at every call."""
    seen = []
    for minutes in (0, 0, 2):
        await shift(tenant.org, timedelta(minutes=minutes))
        await identity.authenticate(tenant.token)
        (token,) = await identity.list_tokens(tenant.admin, principal=tenant.admin.id)
        seen.append(token.last_used_at)
    assert seen[0] == seen[1] < seen[2]


async def test_a_token_grants_no_more_than_its_issuer_has(identity, tenant, add_person):
    """Scopes only narrow."""
    person = await add_person(tenant, Role.OPERATOR, scopes=("events:*", "incident.read"))
    await identity.create_token(person, NewToken(principal=person.id, scopes=("events.write", "incident.read")))
    for scope in ("*", "incident:*", "approval.decide"):
        with pytest.raises(ForbiddenError):
            await identity.create_token(person, NewToken(principal=person.id, scopes=(scope,)))


async def test_tokens_of_others_are_for_owners_and_admins(identity, tenant, add_person):
    """A person can neither make, revoke nor see somebody else's token."""
    person, robot = await add_person(tenant, Role.OPERATOR), await add_person(tenant, Role.OPERATOR, kind=Kind.SERVICE)
    with pytest.raises(ForbiddenError):
        await identity.create_token(person, NewToken(principal=robot.id, scopes=("*",)))
    with pytest.raises(ForbiddenError):
        await identity.revoke_token(person, tenant.admin.token)
    assert {token.principal for token in await identity.list_tokens(person, principal=tenant.admin.id)} == {person.id}
    issued = await identity.create_token(tenant.admin, NewToken(principal=robot.id, scopes=("*",)))
    assert issued.token.issuer == tenant.admin.id


@pytest.mark.parametrize("scopes", [(), ("nonsense",), ("events:write:more",), ("*",) * 51])
def test_scopes_have_a_form(scopes):
    """A scope is `*`, `noun:*` or `noun.verb`."""
    with pytest.raises(ValidationError):
        NewToken(principal=PrincipalId(int=1), scopes=scopes)


async def test_the_secret_is_nowhere(superuser, tenant):
    """Neither the database nor the printed value holds the token's secret."""
    secret = tenant.token.split("_")[3]
    statement = """select t::text from tokens t where org_id = :org
                   union all select l::text from audit_logs l where org_id = :org
                   union all select d::text from audit_details d where org_id = :org"""
    async with superuser.connect() as connection:
        rows = (await connection.scalars(text(statement), {"org": tenant.org})).all()
    assert len(rows) > 3
    assert not any(secret in row for row in rows)


async def test_only_admins_keep_the_directory(principals, tenant, add_person):
    """Others neither create nor change principals."""
    person = await add_person(tenant, Role.OPERATOR, Role.APPROVER)
    with pytest.raises(ForbiddenError):
        await principals.create(person, NewPrincipal(name="friend"))
    with pytest.raises(ForbiddenError):
        await principals.change(person, person.id, PrincipalPatch(roles=frozenset({Role.ADMIN})))


async def test_a_service_account_never_approves(principals, tenant, add_person):
    """Neither when it is made nor later; and it has an active person as owner."""
    with pytest.raises(ForbiddenError):
        await add_person(tenant, Role.APPROVER, kind=Kind.SERVICE)
    robot = await add_person(tenant, Role.OPERATOR, kind=Kind.SERVICE)
    with pytest.raises(ForbiddenError):
        await principals.change(tenant.admin, robot.id, PrincipalPatch(roles=frozenset({Role.APPROVER})))
    with pytest.raises(InvalidError):
        await principals.create(tenant.admin, NewPrincipal(kind=Kind.SERVICE, name="orphan"))
    with pytest.raises(InvalidError):
        await principals.create(tenant.admin, NewPrincipal(kind=Kind.SERVICE, name="nested", owner=robot.id))


async def test_names_are_taken_once(principals, tenant, add_person):
    """A second principal cannot take a name or an address, whatever its case, by being made or by being changed."""
    person = await add_person(tenant)
    await principals.create(tenant.admin, NewPrincipal(name="ada", email="ada@example.org"))
    for wanted in (NewPrincipal(name="ada"), NewPrincipal(name="other", email="ADA@example.org")):
        with pytest.raises(ConflictError):
            await principals.create(tenant.admin, wanted)
    with pytest.raises(ConflictError):
        await principals.change(tenant.admin, person.id, PrincipalPatch(email="Ada@example.org"))


async def test_an_org_keeps_an_admin(principals, tenant, add_person):
    """The last active admin cannot step down; with a second one he can."""
    step_down = PrincipalPatch(roles=frozenset({Role.VIEWER}))
    with pytest.raises(ConflictError):
        await principals.change(tenant.admin, tenant.admin.id, step_down)
    await add_person(tenant, Role.ADMIN)
    assert (await principals.change(tenant.admin, tenant.admin.id, step_down)).roles == {Role.VIEWER}


async def test_principals_of_another_org_do_not_exist(principals, tenant, found_org):
    """A foreign id is answered like an unknown one."""
    other = await found_org()
    for principal in (other.admin.id, PrincipalId(int=7)):
        with pytest.raises(NotFoundError, match="no principal"):
            await principals.change(tenant.admin, principal, PrincipalPatch(is_active=False))


async def test_the_list_goes_on_where_it_stopped(principals, tenant, add_person):
    """The last id shown is the cursor of the next page."""
    people = [tenant.admin.id, *[(await add_person(tenant)).id for _ in range(4)]]
    first = await principals.page(tenant.org, limit=3)
    second = await principals.page(tenant.org, after=first[-1].id, limit=3)
    assert [each.id for each in (*first, *second)] == people
