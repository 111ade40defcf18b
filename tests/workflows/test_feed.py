"""A database is followed: what fails there is an incident here, and what was missed is read."""

import time
from typing import Any

import pytest

from domain.connector import ConnectorStatus
from domain.errors import NotFoundError
from tests.engine import until
from tests.workflows.outside import PAGE, Following, Outside, blocks

WITHIN_S = 2.0


async def test_what_fails_there_is_an_incident_here_within_two_seconds(follow, outside: Outside):
    """The page, followed to the letter: its trigger, its role, its connector, its row, its incident."""
    following = await follow()
    await until(following.is_connected, why="the database is listened to")

    await outside.sql.execute(blocks("sql")[2])
    began = time.monotonic()

    async def is_opened() -> bool:
        return bool(await following.incidents())

    await until(is_opened, within=WITHIN_S, why="an incident is opened")
    [incident] = await following.incidents()
    assert f"It opens an incident of `{incident.service}`: *{incident.title}*." in PAGE
    assert time.monotonic() - began < WITHIN_S


async def test_what_was_written_while_it_was_away_is_caught_up_and_nothing_is_heard_twice(follow, outside: Outside):
    """Rows of before, of meanwhile and of after a lost connection are each one signal."""
    following = await follow()
    await until(following.is_connected, why="the database is listened to")
    await outside.insert((1, "running"))
    await following.heard("public.jobs/1 is running")

    await outside.let_in(is_open=False)
    await outside.insert(*((number, "queued") for number in range(2, 1_302)))
    await until(following.reasons, why="the log says why nothing is heard")
    await outside.let_in(is_open=True)
    await following.heard("public.jobs/1301 is queued")
    await outside.insert((2_000, "running"))
    await following.heard("public.jobs/2000 is running")

    heard = await following.signals()
    assert len(heard) == len(set(heard)) == 1_302
    assert outside.password not in str(await following.reasons())


async def test_a_paused_connector_is_not_followed_and_then_reads_what_it_missed(follow, outside: Outside):
    """Its workflow ends; once it is active again the next one begins where it was."""
    following = await follow()
    await until(following.is_connected, why="the database is listened to")
    await following.change(status=ConnectorStatus.PAUSED)
    await until(following.is_left, why="nobody follows it")

    await outside.insert((1, "failed"))
    before = await following.signals()
    await following.change(status=ConnectorStatus.ACTIVE)
    await following.heard("public.jobs/1 is failed")

    assert before == []


async def test_a_wrong_password_stands_in_the_log_and_a_right_one_counts_at_once(follow, outside: Outside):
    """The reason is precise and names nothing of the address."""
    following = await follow(outside.url("wrong-password"))
    await until(following.reasons, why="the log says what is wrong")

    await following.world.services.connectors.rotate(following.tenant.admin, following.connector.id, outside.url())
    await until(following.is_connected, why="the right password counts")

    assert await following.reasons() == ["the database refuses the user or the password"]


async def test_a_row_that_is_larger_than_a_notification_is_read(follow, outside: Outside):
    """The writer's transaction is not refused, and the row is a signal."""
    following = await follow()
    await until(following.is_connected, why="the database is listened to")
    await outside.sql.execute("insert into jobs (id, status, message) values (1, 'failed', repeat('no space ', 1500))")

    async def is_read() -> bool:
        return any(each.startswith("public.jobs/1 is failed: no space no space") for each in await following.signals())

    await until(is_read, why="the large row is read")


async def test_nothing_of_it_is_anybody_elses(follow, found_org, outside: Outside):
    """Another org sees neither the connector nor what it heard, and its own id with this connector follows nothing."""
    following = await follow()
    await until(following.is_connected, why="the database is listened to")
    await outside.insert((1, "failed"))
    await following.heard("public.jobs/1 is failed")

    other = await found_org()
    theirs = Following(following.world, other, following.connector)
    connectors: Any = following.world.services.connectors
    with pytest.raises(NotFoundError):
        await connectors.get(other.admin, following.connector.id)
    with pytest.raises(NotFoundError):
        await connectors.followed(theirs.ref)
    assert await theirs.signals() == []
    assert await theirs.is_connected() is False
