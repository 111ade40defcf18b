"""One request with a key is served; decisions are found again."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import DecisionId, IncidentId, OrgId
from domain.decision import DecisionRecord, DecisionType
from domain.errors import ConflictError, NotFoundError
from domain.idempotency import Answer, Fresh, KeyScope, Mismatch, Replay, Running
from services.decisions import Decisions
from services.idempotency import IdempotencyKeys
from storage.engine import Database, new_id

ANSWER = Answer(status=201, headers=(("location", "/api/v1/pipelines/1"),), body='{"name": "é"}')
DIGEST, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def keys(database):
    return IdempotencyKeys(database)


@pytest.fixture
def scope(tenant):
    return KeyScope(org=tenant.org, principal=tenant.admin.id, route="POST /pipelines", key="k1")


@pytest.fixture
def noted(database, tenant):
    """A table to change things in: the org's workflows."""
    return Noted(database, tenant.org)


class Noted:
    def __init__(self, database: Database, org: OrgId) -> None:
        self._database = database
        self._org = org

    async def add(self, session: AsyncSession, what: str) -> None:
        await session.execute(
            text("insert into workflows (org_id, name) values (:org, :what)"), {"org": self._org, "what": what}
        )

    async def all(self) -> list[str]:
        async with self._database.transaction(self._org) as session:
            return list(await session.scalars(text("select name from workflows order by id")))


async def _answer() -> Answer:
    return ANSWER


async def answered(keys: IdempotencyKeys, scope: KeyScope, digest: str) -> Fresh:
    """A key whose request has been answered."""
    fresh = await keys.begin(scope, digest)
    assert isinstance(fresh, Fresh)
    assert await keys.at_once(scope, fresh, _answer)
    return fresh


async def test_of_many_at_once_one_is_served(keys, scope):
    """The others are told that it runs."""
    begun = await asyncio.gather(*(keys.begin(scope, DIGEST) for _ in range(10)))
    assert sorted(type(each).__name__ for each in begun) == ["Fresh"] + ["Running"] * 9


async def test_a_repeat_gets_the_stored_answer(keys, scope):
    """Byte for byte; the same key with another request is refused."""
    await answered(keys, scope, DIGEST)
    assert await keys.begin(scope, DIGEST) == Replay(answer=ANSWER)
    assert await keys.begin(scope, OTHER) == Mismatch()


async def test_a_change_and_its_answer_stand_or_fall_together(keys, scope, database, noted):
    """Whatever fails before the commit takes the change with it; what the work had refused by itself is not kept."""
    fresh = await keys.begin(scope, DIGEST)

    async def refused() -> None:
        async with database.transaction(scope.org) as session:
            await noted.add(session, "refused")
            raise ZeroDivisionError

    async def work(number: int, *, fails: bool = False) -> Answer:
        with pytest.raises(ZeroDivisionError):
            await refused()
        async with database.transaction(scope.org) as session:
            await noted.add(session, f"change {number}")
        if fails:
            raise NotFoundError("nothing of this")
        return ANSWER

    with pytest.raises(NotFoundError):
        await keys.at_once(scope, fresh, lambda: work(1, fails=True))
    assert await noted.all() == []
    assert await keys.begin(scope, DIGEST) == Running()
    assert await keys.at_once(scope, fresh, lambda: work(2))
    assert await noted.all() == ["change 2"]
    assert await keys.begin(scope, DIGEST) == Replay(answer=ANSWER)


@pytest.mark.parametrize("way", ["at_once", "in_turn"])
async def test_who_lost_the_key_keeps_no_answer(keys, scope, database, noted, shift, way):
    """A server that was slow for a minute finds its place taken; at once, its change is undone as well."""
    slow = await keys.begin(scope, DIGEST)
    await shift(scope.org, timedelta(seconds=61))
    taken = await keys.begin(scope, DIGEST)

    async def work() -> Answer:
        async with database.transaction(scope.org) as session:
            await noted.add(session, "late")
        return ANSWER.model_copy(update={"status": 200})

    with pytest.raises(ConflictError):
        await getattr(keys, way)(scope, slow, work)
    await keys.abandon(scope, slow)
    assert await noted.all() == (["late"] if way == "in_turn" else [])
    assert await keys.at_once(scope, taken, _answer)
    assert await keys.begin(scope, DIGEST) == Replay(answer=ANSWER)


async def test_a_key_counts_in_its_scope(keys, scope, found_org):
    """Another org, principal or route has keys of its own."""
    other = await found_org()
    await keys.begin(scope, DIGEST)
    elsewhere = [
        scope.model_copy(update={"route": "POST /runs"}),
        scope.model_copy(update={"org": other.org, "principal": other.admin.id}),
    ]
    assert all([isinstance(await keys.begin(each, OTHER), Fresh) for each in elsewhere])


async def test_an_abandoned_key_is_free(keys, scope):
    """An answered one is not given back."""
    await keys.abandon(scope, await keys.begin(scope, DIGEST))
    fresh = await answered(keys, scope, OTHER)
    await keys.abandon(scope, fresh)
    assert await keys.begin(scope, OTHER) == Replay(answer=ANSWER)


async def test_a_crashed_server_keeps_a_key_for_a_minute(keys, scope, shift):
    """Then the same request is served again, and another one with the key is still refused."""
    await keys.begin(scope, DIGEST)
    await shift(scope.org, timedelta(seconds=50))
    assert await keys.begin(scope, DIGEST) == Running()
    await shift(scope.org, timedelta(seconds=15))
    assert await keys.begin(scope, OTHER) == Mismatch()
    begun = await asyncio.gather(keys.begin(scope, DIGEST), keys.begin(scope, DIGEST))
    assert sorted(type(each).__name__ for each in begun) == ["Fresh", "Running"]


async def test_keys_are_forgotten_after_a_day(keys, scope, shift):
    """By the database's clock."""
    await answered(keys, scope, DIGEST)
    await shift(scope.org, timedelta(hours=23, minutes=59))
    assert await keys.begin(scope, OTHER) == Mismatch()
    await shift(scope.org, timedelta(minutes=2))
    assert isinstance(await keys.begin(scope, OTHER), Fresh)


async def test_decisions_are_found_as_recorded(database, org):
    """Each is listed once, the newest first, and reads as it was written."""
    decisions = Decisions(database)
    ids = []
    for number in range(5):
        async with database.transaction(org) as session:
            record = DecisionRecord(
                id=DecisionId.of(await new_id(session)),
                incident=IncidentId(int=1 + number % 2),
                type=DecisionType.DIAGNOSIS,
                model="heuristic-1",
                inputs_hash=DIGEST,
                confidence=0.5 + number / 10,
                threshold=0.7,
                decision="configuration drift",
                reason_codes=("D1", "D2"),
                explanation="the column was renamed",
                details={"n": number},
            )
            ids.append(await decisions.record(session, org, record))
    first = await decisions.page(org, limit=3)
    rest = await decisions.page(org, before=(first[-1].created_at, first[-1].id), limit=3)
    assert [each.id for each in (*first, *rest)] == ids[::-1]
    found = await decisions.get(org, ids[-1])
    assert found.model_copy(update={"created_at": None}) == record
    assert len(await decisions.page(org, incident=IncidentId(int=1))) == 3
