"""`python -m provision platform …`: acts of whoever sits at the machine."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from domain.errors import ConflictError, InvalidError, NotFoundError
from domain.ledger import Verification
from provision import CreatedOrg, act, parser
from settings import Settings
from tests.database import DatabaseUrls


@pytest.fixture
def chosen(database_urls: DatabaseUrls, tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, database_url=database_urls.app, database_platform_url=database_urls.platform)


@pytest.fixture
def name() -> str:
    return f"acme-{secrets.token_hex(4)}"


async def do(chosen: Settings, *words: str) -> Any:
    return await act(parser().parse_args(["platform", *words]), chosen)


async def test_org_comes_with_its_first_admin(chosen: Settings, name: str):
    """A new org is usable at once by whoever can read the file with its token, and its name is then taken."""
    made = await do(chosen, "org", "create", name)
    assert isinstance(made, CreatedOrg)
    assert made.token_file.read_text().startswith("sut_")
    assert made.token_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConflictError):
        await do(chosen, "org", "create", name)


async def test_org_is_switched_off_and_on(chosen: Settings, name: str):
    """A deactivated org stands in the list as it is."""
    await do(chosen, "org", "create", name)
    await do(chosen, "org", "deactivate", name, "--reason", "asked to")
    assert {each.name: each.is_active for each in await do(chosen, "org", "list")}[name] is False
    await do(chosen, "org", "activate", name, "--reason", "came back")
    assert {each.name: each.is_active for each in await do(chosen, "org", "list")}[name] is True


async def test_region_is_stopped_and_let_go(chosen: Settings):
    """A switch of the platform says what it is and why, and each act is in the platform's own ledger."""
    region = f"r-{secrets.token_hex(4)}"
    before = await do(chosen, "verify")
    engaged = await do(chosen, "switch", "engage", "region", region, "--reason", "fire")
    released = await do(chosen, "switch", "release", "region", region, "--reason", "out")
    after = await do(chosen, "verify")
    assert (json.loads(engaged.model_dump_json())["is_active"], released.is_active) == (True, False)
    assert isinstance(before, Verification)
    assert isinstance(after, Verification)
    assert (after.size - before.size, after.fault) == (2, None)


async def test_act_that_makes_no_sense_is_refused(chosen: Settings):
    """An org that is not there, a name that is none, a switch without a reason."""
    with pytest.raises(NotFoundError):
        await do(chosen, "org", "deactivate", "nobody", "--reason", "x")
    with pytest.raises(InvalidError):
        await do(chosen, "org", "create", "No Name")
    with pytest.raises(InvalidError):
        await do(chosen, "switch", "engage", "global", "--reason", " ")
