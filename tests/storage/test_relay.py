"""The relay delivers what is due, whatever becomes of the database and however slow an answer is."""

import asyncio
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest_asyncio
from sqlalchemy import text

from domain.base import OrgId, RequestId
from domain.errors import ApprovalClosedError
from domain.identity import SwitchLevel
from provision import provision
from services.ledger import Ledger
from services.platform import Platform
from services.relay import Relay
from storage import outbox
from storage.admin import open_admin
from storage.engine import Database, open_engine
from storage.outbox import Letter, Outbox
from tests.database import HMAC_KEY, PASSWORDS, create_database

CUT = text("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'suture_relay'")
LETTERS = text("select kind, payload from outbox where org_id = :org and payload ? 'level' order by id")
REFUSED = text("select count(*) from audit_logs where action = 'request.refused' and resource_id = :request")
WAITING = text("select count(*) from outbox where org_id = :org and delivered_at is null")
UNDELIVERED = text("select attempts, last_error from outbox where kind = 'carry_plan' and delivered_at is null")


class Ears:
    """An engine that notes whom it was told to wake, and answers decisions when it is let."""

    def __init__(self):
        self.woken, self.asked, self.may_answer, self.refusal = asyncio.Queue(), 0, asyncio.Event(), None

    async def wake(self, workflow_id):
        await self.woken.put(workflow_id)

    async def decide(self, workflow_id, request, *, within):
        self.asked += 1
        await self.may_answer.wait()
        if self.refusal is not None:
            raise self.refusal
        return workflow_id

    async def heard(self, workflow_id):
        async with asyncio.timeout(10):
            while await self.woken.get() != workflow_id:
                pass


class Post:
    """A database of its own with one org, so that no other relay delivers here."""

    def __init__(self, urls):
        self.database = Database(open_engine(urls.app, size=2))
        self.platform = Platform(Database(open_engine(urls.platform, size=2)), actor="tester")
        self.admin, self.relaying = open_admin(urls.admin), open_engine(urls.relay, size=4)
        self.org = OrgId(int=0)

    async def write(self, letter, payload):
        async with self.database.transaction(self.org) as session:
            await outbox.add(session, self.org, letter, payload)

    async def told(self):
        async with self.admin.connect() as connection:
            return [tuple(row) for row in await connection.execute(LETTERS, {"org": self.org})]

    async def until_delivered(self):
        """Whatever is in the outbox; a test leaves nothing to the next one's relay."""
        async with self.admin.connect() as connection, asyncio.timeout(20):
            while await connection.scalar(WAITING, {"org": self.org}):
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def relay(self):
        ears = Ears()
        task = asyncio.create_task(Relay(Outbox(self.relaying), self.database, ears, Ledger()).run())
        try:
            yield ears
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture(scope="module")
async def urls(postgres, kms):
    urls = await create_database(postgres, "suture_relay_tests")
    await provision(urls.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY)
    return urls


@pytest_asyncio.fixture
async def post(urls):
    post = Post(urls)
    post.org = (await post.platform.create_org(f"org-{uuid4().hex[:12]}")).id
    yield post
    for each in (post.admin, post.relaying, post.database, post.platform._database):
        await (each.close() if isinstance(each, Database) else each.dispose())


async def test_a_lost_database_does_not_end_the_relay(post):
    """Every connection of the relay is cut, again and again; what is written afterwards is delivered."""
    async with post.relay() as ears:
        for number in range(3):
            await post.write(Letter.WAKE, {"workflow_id": f"before-{number}"})
            await ears.heard(f"before-{number}")
            async with post.admin.connect() as connection:
                await connection.execute(CUT)
            await post.write(Letter.WAKE, {"workflow_id": f"after-{number}"})
            await ears.heard(f"after-{number}")


async def test_decisions_that_nobody_answers_hold_up_no_other_letter(post):
    """Fifty wait for their answers, few at a time; a stop and a wake go out meanwhile."""
    for _ in range(50):
        await post.write(Letter.DECIDE, {"workflow_id": "plan/x", "request": str(uuid4())})
    async with post.relay() as ears:
        async with asyncio.timeout(10):
            while not ears.asked:
                await asyncio.sleep(0)
        await post.write(Letter.WAKE, {"workflow_id": "run/x"})
        await ears.heard("run/x")
        assert ears.asked == 8
        ears.may_answer.set()
        await post.until_delivered()
    assert ears.asked == 50


async def test_a_decision_that_is_refused_late_leaves_a_trace(post):
    """The wait has ended before the letter came: the audit log says so once, however often the letter comes."""
    request = uuid4()
    async with post.relay() as ears:
        ears.refusal = ApprovalClosedError("no decision is awaited")
        ears.may_answer.set()
        for _ in range(2):
            await post.write(Letter.DECIDE, {"workflow_id": "plan/x", "request": str(request)})
            await post.until_delivered()
            async with post.admin.connect() as connection:
                assert await connection.scalar(REFUSED, {"request": RequestId.of(request).shown}) == 1
    assert ears.asked == 2


async def test_a_letter_that_cannot_be_read_holds_up_no_other(post):
    """It is tried again, with the reason beside it."""
    await post.write(Letter.CARRY_PLAN, {"plan": "no plan"})
    async with post.relay() as ears:
        await post.write(Letter.WAKE, {"workflow_id": "run/y"})
        await ears.heard("run/y")
        async with post.admin.connect() as connection, asyncio.timeout(10):
            while (row := (await connection.execute(UNDELIVERED)).first()) is None or not row.attempts:
                await asyncio.sleep(0.01)
    assert row.last_error


async def test_the_platforms_switch_tells_the_workflows_of_every_org(post):
    """Engaging writes one letter to each; releasing stops nobody, so it writes none."""
    other = (await post.platform.create_org(f"org-{uuid4().hex[:12]}")).id
    await post.platform.engage(SwitchLevel.REGION, "far-away", "flood")
    await post.platform.release(SwitchLevel.REGION, "far-away", "dry")
    expected = [("stopped", {"level": "region", "subject": "far-away"})]
    assert await post.told() == expected
    async with post.admin.connect() as connection:
        assert [tuple(row) for row in await connection.execute(LETTERS, {"org": other})] == expected


async def test_an_org_that_is_made_inactive_is_told_to_stop(post):
    """As if its own switch were engaged."""
    name = f"org-{uuid4().hex[:12]}"
    post.org = (await post.platform.create_org(name)).id
    await post.platform.set_org_active(name, is_active=False, reason="unpaid")
    assert await post.told() == [("stopped", {"level": "org", "subject": "*"})]
