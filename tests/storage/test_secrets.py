"""Secrets are readable by runners alone, and keys change without a stop."""

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from adapters.codec import OrgCodec
from adapters.secrets import MasterKeyFile
from domain.actor import Actor
from domain.errors import ForbiddenError, InvalidError, NotFoundError
from domain.identity import Role
from services.keyring import OrgKeyring

RUNNER = Actor.part("runner")


@pytest.fixture
def reveal(secret_store, org):
    async def ask(*names, environment="dev"):
        return await secret_store.reveal_for_runner(org, environment, names, actor=RUNNER, why="run")

    return ask


async def test_a_runner_reads_what_an_admin_wrote(secret_store, tenant, reveal):
    """The newest value counts, in its own environment only."""
    for value in ("one", "two"):
        await secret_store.put(tenant.admin, "dev", "PASSWORD", SecretStr(value))
    assert await reveal("PASSWORD") == {"PASSWORD": "two"}
    with pytest.raises(NotFoundError, match="no secret PASSWORD in the environment prod"):
        await reveal("PASSWORD", environment="prod")


async def test_a_missing_secret_reveals_none(secret_store, tenant, reveal):
    """All or nothing, and the refusal names what is missing."""
    await secret_store.put(tenant.admin, "dev", "A", SecretStr("a"))
    with pytest.raises(NotFoundError, match="no secret B"):
        await reveal("A", "B")
    assert await reveal() == {}


async def test_only_admins_write(secret_store, tenant, add_person):
    """Others are refused, and so is an environment that does not exist."""
    with pytest.raises(ForbiddenError):
        await secret_store.put(await add_person(tenant, Role.AUTHOR), "dev", "A", SecretStr("a"))
    with pytest.raises(NotFoundError):
        await secret_store.put(tenant.admin, "nowhere", "A", SecretStr("a"))
    with pytest.raises(InvalidError):
        await secret_store.put(tenant.admin, "dev", "A", SecretStr("a" * 70_000))


async def test_the_value_is_nowhere_in_clear(secret_store, superuser, tenant, reveal):
    """Neither the row nor the ledger holds it; each write and each reveal is an entry."""
    await secret_store.put(tenant.admin, "dev", "PASSWORD", SecretStr("hunter2hunter2"))
    await reveal("PASSWORD")
    async with superuser.connect() as connection:
        statement = """select sealed::text, action || ' ' || body || ' ' || coalesce(after_json::text, '') from secrets
                       join audit_logs using (org_id) left join audit_details using (org_id, seq) where org_id = :org"""
        rows = (await connection.execute(text(statement), {"org": tenant.org})).all()
    everything = " ".join(part for row in rows for part in row)
    assert b"hunter2hunter2".hex() not in everything
    assert "hunter2" not in everything
    assert "secret.created" in everything
    assert "secret.revealed" in everything


async def test_a_ciphertext_opens_in_its_own_row_only(secret_store, superuser, tenant, reveal):
    """Copied to another name or environment it is not authentic."""
    await secret_store.put(tenant.admin, "dev", "A", SecretStr("of a"))
    await secret_store.put(tenant.admin, "dev", "B", SecretStr("of b"))
    async with superuser.begin() as connection:
        statement = (
            "update secrets set sealed = (select sealed from secrets where org_id = :org and name = 'A') where org_id = :org"
        )
        await connection.execute(text(statement), {"org": tenant.org})
    assert await reveal("A") == {"A": "of a"}
    with pytest.raises(InvalidError, match="not authentic"):
        await reveal("B")


async def test_a_new_key_takes_over_without_a_stop(secret_store, keyring, superuser, tenant, reveal):
    """Every secret moves to it, and what was encrypted under the old one stays readable."""
    await secret_store.put(tenant.admin, "dev", "A", SecretStr("a"))
    old, old_key = await keyring.current(tenant.org)
    fresh = await secret_store.rotate_key(tenant.admin)
    async with superuser.connect() as connection:
        keys = (await connection.scalars(text("select key_id from secrets where org_id = :org"), {"org": tenant.org})).all()
    assert keys == [fresh]
    assert (await keyring.current(tenant.org))[0] == fresh != old
    assert await keyring.get(tenant.org, old) == old_key
    assert await reveal("A") == {"A": "a"}


async def test_each_org_and_the_platform_have_their_own_key(keyring, tenant, found_org):
    """No key opens another org's payloads, and none is found under another org."""
    other = (await found_org()).org
    keys = [await keyring.current(owner) for owner in (tenant.org, other, None)]
    assert len({key for _, key in keys}) == 3
    with pytest.raises(NotFoundError):
        await keyring.get(other, keys[0][0])
    with pytest.raises(NotFoundError):
        await keyring.get(None, "")


async def test_another_master_key_opens_nothing(database, tenant, tmp_path):
    """Whoever has the database and not the master key reads no key."""
    with pytest.raises(InvalidError):
        await OrgKeyring(database, MasterKeyFile(tmp_path / "other.key")).current(tenant.org)


def test_the_codec_takes_the_keyring(keyring):
    """The keyring is what the payload codec asks for."""
    assert isinstance(OrgCodec(keyring), OrgCodec)
