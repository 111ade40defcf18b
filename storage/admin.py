"""The schema's owner at work: the only place where statements run with more rights than the application has."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from domain.errors import InvalidError

OWNER = "suture_owner"
ROLES = ("suture_app", "suture_relay", "suture_upkeep", "suture_platform")

_LOCK = 0x5375_7475_7265
_PATIENCE = "set lock_timeout = '60s'"
_PASSWORD = re.compile(r"[!-~]{12,128}")

_CREATE = """
do $$ begin
  create role {role} {login} nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
exception when duplicate_object or unique_violation then null;
end $$"""
_TOO_STRONG = text("select rolname from pg_roles where rolname = any(:roles) and (rolsuper or rolbypassrls or rolcreaterole)")
_NOT_OURS = text(
    "select rolname from pg_roles where rolname = any(:roles) and not pg_has_role(current_user, oid, 'SET') order by rolname"
)


def open_admin(admin_url: str, *, role: str | None = None) -> AsyncEngine:
    """An engine without a pool, for work done once; with `role`, every statement has that role's rights and no more."""
    settings = {"application_name": "suture provision", "timezone": "UTC"} | ({"role": role} if role else {})
    return create_async_engine(admin_url, poolclass=NullPool, connect_args={"timeout": 5, "server_settings": settings})


@asynccontextmanager
async def alone(admin_url: str) -> AsyncIterator[None]:
    """Of all who provision one database, one at a time; a second waits up to a minute."""
    engine = open_admin(admin_url)
    try:
        async with engine.connect() as connection:
            await connection.execute(text(_PATIENCE))
            await connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
            await connection.commit()
            yield  # closing the connection lets the next one in
    finally:
        await engine.dispose()


async def ensure_roles(admin_url: str, passwords: Mapping[str, str] | None) -> None:
    """Create the roles that are missing, set the passwords given, and hand the schema to its owner.

    Raises:
        InvalidError: a password for an unknown role or of another form, or a role that may more than it should.
    """
    _check_passwords(passwords or {})
    engine = open_admin(admin_url)
    try:
        async with engine.begin() as connection:
            await _create_roles(connection)
            await _set_passwords(connection, passwords or {})
            await _hand_over(connection)
    finally:
        await engine.dispose()


async def _create_roles(connection: AsyncConnection) -> None:
    await connection.execute(text(_CREATE.format(role=OWNER, login="nologin")))
    for role in ROLES:
        await connection.execute(text(_CREATE.format(role=role, login="login")))
    strong = (await connection.scalars(_TOO_STRONG, {"roles": [OWNER, *ROLES]})).all()
    if strong:
        raise InvalidError(f"expected ordinary roles, got more rights for {', '.join(strong)}; drop them or take the rights")
    for role in (await connection.scalars(_NOT_OURS, {"roles": [OWNER, *ROLES]})).all():
        await connection.execute(text(f"grant {role} to current_user"))


async def _set_passwords(connection: AsyncConnection, passwords: Mapping[str, str]) -> None:
    statement = text("select format('alter role %I password %L', cast(:role as text), cast(:password as text))")
    for role, password in passwords.items():
        alter = await connection.scalar(statement, {"role": role, "password": password})
        await connection.exec_driver_sql(str(alter))


async def _hand_over(connection: AsyncConnection) -> None:
    database = await connection.scalar(text("select quote_ident(current_database())"))
    owned = await connection.scalar(
        text("select pg_get_userbyid(nspowner) = :owner from pg_namespace where nspname = 'public'"), {"owner": OWNER}
    )
    if not owned:
        await connection.exec_driver_sql(f"grant create on database {database} to {OWNER}")
        await connection.exec_driver_sql(f"alter schema public owner to {OWNER}")


def _check_passwords(passwords: Mapping[str, str]) -> None:
    unknown = passwords.keys() - set(ROLES)
    if unknown:
        raise InvalidError(f"expected passwords for {', '.join(ROLES)}, got one for {', '.join(sorted(unknown))}")
    for role, password in passwords.items():
        if not _PASSWORD.fullmatch(password):
            raise InvalidError(f"the password of {role} must be 12 to 128 printable characters without spaces")
