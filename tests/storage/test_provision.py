"""Provisioning brings an empty database to where everything can serve, once."""

import asyncio
import json
import stat

import pytest
from sqlalchemy import text

from domain.base import OrgId
from domain.errors import InvalidError, UnauthenticatedError, UnavailableError
from provision import provision, write_token
from services.identity import Identity
from services.ledger import Ledger
from storage.admin import open_admin
from storage.engine import Database, open_engine
from tests.database import HMAC_KEY, PASSWORDS, create_database
from tests.processes import run

NAMES = {"ADMIN_URL": "admin", "URL": "app", "RELAY_URL": "relay", "UPKEEP_URL": "upkeep", "PLATFORM_URL": "platform"}

EVERYTHING = """
select 'orgs', count(*), max(created_at) from orgs union all select 'principals', count(*), max(created_at) from principals
union all select 'tokens', count(*), max(created_at) from tokens
union all select 'keys', count(*), max(created_at) from org_keys
union all select 'platform keys', count(*), max(created_at) from platform_keys
union all select 'switches', count(*), max(changed_at) from kill_switches
union all select 'platform switches', count(*), max(changed_at) from platform_kill_switches
union all select 'audit', count(*), max(created_at) from audit_logs
union all select 'platform audit', count(*), max(created_at) from platform_audit_logs"""


async def _everything(url):
    engine = open_admin(url)
    async with engine.connect() as connection:
        found = [tuple(row) for row in await connection.execute(text(EVERYTHING))]
    await engine.dispose()
    return found


@pytest.fixture
async def empty(postgres):
    return await create_database(postgres, "suture_provision")


async def test_the_second_time_changes_nothing(empty, kms):
    """Provisioning again, even by two at once, returns no token and leaves every row as it was."""
    first = await provision(empty.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY)
    before = await _everything(empty.admin)
    again = await asyncio.gather(*(provision(empty.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY) for _ in range(2)))
    assert first.token is not None
    assert [(each.org, each.token) for each in again] == [(first.org, None)] * 2
    assert await _everything(empty.admin) == before


async def test_a_provisioning_process_logs_json(empty, tmp_path):
    """What its libraries say is one JSON line per event; passwords of the roles are not among it."""
    urls = {f"SUTURE_DATABASE_{name}": getattr(empty, role) for name, role in NAMES.items()}
    ended = await run("provision", {"PATH": "/usr/bin:/bin", "SUTURE_DATA": str(tmp_path)} | urls)
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert (ended.code, ended.out) == (0, "")
    assert "alembic.runtime.migration" in {line["logger"] for line in lines}
    assert [password for password in PASSWORDS.values() if password in ended.err] == []


async def test_two_at_once_make_one_org(empty, kms):
    """Of two who provision an empty database at once, one gets the token."""
    both = await asyncio.gather(*(provision(empty.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY) for _ in range(2)))
    assert len({each.org for each in both}) == 1
    assert sorted(each.token is None for each in both) == [False, True]


async def test_the_token_lies_in_a_private_file(empty, kms, tmp_path):
    """The first admin's token is in a file of mode 0600 and authenticates its admin."""
    file = tmp_path / "state" / "token"
    await provision(empty.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY, keep=write_token(file))
    database = Database(open_engine(empty.app, size=2))
    caller = await Identity(database, Ledger(), hmac_key=HMAC_KEY).authenticate(file.read_text().strip())
    await database.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "admin" in caller.principal.roles


async def test_a_token_that_cannot_be_kept_is_not_issued(empty, kms, tmp_path):
    """If writing the token fails, no admin exists, so the next try makes one."""
    (tmp_path / "file").touch()
    keep = write_token(tmp_path / "file" / "token")
    with pytest.raises(UnavailableError, match="cannot be written"):
        await provision(empty.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY, keep=keep)
    assert (await provision(empty.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY)).token is not None


async def test_platform_acts_are_in_the_platform_ledger(platform, found_org, identity):
    """Creating and deactivating an org, and throwing the global switch, are entries of a whole chain."""
    before = (await platform.verify()).size
    tenant = await found_org()
    name = (await platform.orgs(after=OrgId(int=tenant.org.int - 1), limit=1))[0].name
    await platform.set_org_active(name, is_active=False, reason="unpaid")
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(tenant.token)
    found = await platform.verify()
    assert (found.is_whole, found.size - before) == (True, 2)


@pytest.mark.parametrize("passwords", [{"postgres": "long-enough-password"}, {"suture_app": "short"}])
async def test_a_wrong_password_is_refused_before_anything_happens(empty, kms, passwords):
    """Passwords are for our roles, and are long."""
    with pytest.raises(InvalidError):
        await provision(empty.admin, passwords=passwords, kms=kms, hmac_key=HMAC_KEY)
