"""The database fails under the whole product: callers are told to come again, and what was under way comes to its end."""

import asyncio
import textwrap
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import uuid4

import aiohttp
import pytest_asyncio
from sqlalchemy import text

from demo.client import RefusedError, until
from demo.people import Cast, gather
from demo.scene import apply, asked, ended, incident_is, run, waiting
from domain.base import OrgId, SignalId
from tests.faults import checker
from tests.faults.installation import Installation, installed
from tests.faults.report import FULL, bar, p95
from tests.pipelines import CODE, a_spec

WRITERS = 4
KILLS = 5 if FULL else 3
RECOVERED_WITHIN = bar(5.0)
ANSWERED_WITHIN = bar(2.0)
HANGS_AFTER = aiohttp.ClientTimeout(total=30)
PROBLEM = "application/problem+json"


@pytest_asyncio.fixture(scope="module")
async def installation():
    async with installed() as started:
        yield started


@pytest_asyncio.fixture
async def cast(installation):
    """People of this test, in an org that may send as much as it likes."""
    people = await gather(installation.api_url, installation.admin_token, season=uuid4().hex[:8])
    for name in ("requests", "signals"):
        await people.admin.put("/quotas", {"name": name, "per_minute": 10_000_000})
    yield people
    await people.leave()


@pytest_asyncio.fixture
async def org(cast) -> OrgId:
    return OrgId.of((await cast.omar.get("/automatic"))["org_id"])


@dataclass
class Senders:
    """Clients that send events without pause; what they are told must be 201, or 503 as the protocol says it."""

    installation: Installation
    acked: list[tuple[float, SignalId]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def at_work(self):
        headers = {"Authorization": f"Bearer {self.installation.admin_token}"}
        async with aiohttp.ClientSession(timeout=HANGS_AFTER, headers=headers) as session:
            tasks = [asyncio.create_task(self._send(session)) for _ in range(WRITERS)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def wrote(self, count: int) -> None:
        seen = len(self.acked) + count

        async def enough() -> bool | None:
            return len(self.acked) >= seen or None

        await until(enough, what=f"{count} more events")

    async def recovered(self, killed_at: float) -> float:
        """How long after the kill an event was stored again, all senders having been refused meanwhile."""

        async def refused() -> bool | None:
            return bool(self.refused and self.refused[-1] >= killed_at) or None

        async def stored() -> float | None:
            return next((at for at, _ in self.acked[-1:] if at > max(self.refused[-1], killed_at)), None)

        await until(refused, what="a refusal")
        return await until(stored, what="an event that is stored again") - killed_at

    async def _send(self, session: aiohttp.ClientSession) -> None:
        while True:
            began = time.monotonic()
            try:
                async with session.post(
                    f"{self.installation.api_url}/api/v1/events", json={"event_type": "fault", "payload": {}}
                ) as answer:
                    body = await answer.json(content_type=None)
                    self._heard(answer, body)
            except (aiohttp.ClientError, TimeoutError) as error:
                self.surprises.append(f"{type(error).__name__}: {error}"[:200])
            self.waits.append(time.monotonic() - began)
            await asyncio.sleep(0.02)

    def _heard(self, answer: aiohttp.ClientResponse, body: dict[str, str]) -> None:
        if answer.status == 201:
            self.acked.append((time.monotonic(), SignalId.of(body["event_id"])))
        elif (answer.status, answer.content_type) == (503, PROBLEM) and int(answer.headers.get("Retry-After", 0)) > 0:
            self.refused.append(time.monotonic())
        else:
            self.surprises.append(f"{answer.status} {answer.headers.get('Retry-After')}: {body}"[:200])


async def test_f09_callers_of_the_api_are_told_to_come_again(installation, org, fault):
    """Under load, through a real API process: 503 with Retry-After, never a hang; nothing that was acknowledged is lost."""
    senders, recoveries = Senders(installation), []
    async with senders.at_work():
        for _ in range(KILLS):
            await senders.wrote(50)
            killed_at = time.monotonic()
            await installation.kill_database()
            recoveries.append(await senders.recovered(killed_at))
            await senders.wrote(50)
    broken = senders.surprises + await _lost(installation, org, senders)
    broken += [f"recovered after {each:.2f} s" for each in recoveries if each > RECOVERED_WITHIN]
    broken += [f"answered after {each:.2f} s" for each in senders.waits if each > RECOVERED_WITHIN]
    fault.note(
        runs=KILLS,
        violations=broken,
        api_acked=len(senders.acked),
        api_refused_503=len(senders.refused),
        api_recovered_p95_s=p95(recoveries),
        api_longest_s=max(senders.waits),
    )


async def test_f09_a_story_under_way_comes_to_its_end(installation, cast, org, fault, tmp_path):
    """Killed as a run fails, as people are asked and as the fix is executed: each run is healed, each incident verified."""
    broken = []
    for moment in Moment:
        story = await _Story.begun(installation, cast, moment, tmp_path)
        await story.told(killed=moment)
        broken += await story.broken()
    verified = await cast.admin.get("/audit-logs/verify")
    broken += [] if verified["fault"] is None else [f"I5: {verified['fault']}"]
    broken += await checker.stuck(installation.superuser, org)
    fault.note(runs=len(Moment), violations=broken, stories_healed=len(Moment))


class Moment(StrEnum):
    """When the database is killed."""

    FAILING = "failing"
    ASKING = "asking"
    EXECUTING = "executing"


@dataclass
class _Story:
    """A pipeline that passes on v1, breaks on v2 and is put back; the database is killed at one moment of it."""

    installation: Installation
    cast: Cast
    pipeline: str
    execution: str = ""
    incident: str = ""

    @classmethod
    async def begun(cls, installation: Installation, cast: Cast, name: str, folder) -> "_Story":
        for file, content in CODE.items():
            (folder / file).write_text(textwrap.dedent(content))
        pipeline = (await apply(cast.ana, a_spec(name=f"{name}-{uuid4().hex[:6]}"), folder))["id"]
        await ended(cast.omar, await run(cast.omar, pipeline))
        await cast.ana.patch(f"/pipelines/{pipeline}", {"config": {"column": "valeu"}})
        return cls(installation, cast, pipeline)

    async def told(self, *, killed: Moment) -> None:
        self.execution = await run(self.cast.omar, self.pipeline)
        if killed is Moment.FAILING:
            await self._kill()
        self.incident = (await waiting(self.cast.omar, self.execution))["incident_id"]
        if killed is Moment.ASKING:
            await self._kill()
        _, approval = await asked(self.cast.omar, self.incident)
        await self.cast.petra.patch(f"/approvals/{approval['id']}", {"choice": "approve"})
        if killed is Moment.EXECUTING:
            await self._kill()

    async def broken(self) -> list[str]:
        done = await ended(self.cast.omar, self.execution, within=90)
        closed = await incident_is(self.cast.omar, self.incident, "verified", "needs_human", "rolled_back", "blocked")
        said = (done["status"], done["config_version"], closed["status"])
        return [] if said == ("succeeded", 1, "verified") else [f"I4: the story of {self.execution} ended as {said}"]

    async def _kill(self) -> None:
        """Return once the API answers again."""
        await self.installation.kill_database()

        async def answers() -> bool | None:
            try:
                await self.cast.omar.get("/automatic")
            except RefusedError:
                return None
            return True

        await asyncio.sleep(0.2)
        await until(answers, what="the API to answer again")


async def test_f14_a_full_server_is_told_to_callers(installation, org, fault):
    """No room for one connection: every caller of the API hears 503 within two seconds, and is served when there is room."""
    senders = Senders(installation)
    async with senders.at_work():
        await senders.wrote(20)
        async with _full(installation):
            refused = len(senders.refused)

            async def told() -> bool | None:
                return len(senders.refused) >= refused + 20 or None

            await until(told, what="twenty refusals")
        await senders.wrote(20)
    broken = senders.surprises + await _lost(installation, org, senders)
    broken += [f"answered after {each:.2f} s" for each in senders.waits if each > ANSWERED_WITHIN]
    fault.note(
        runs=len(senders.refused), violations=broken, api_full_longest_s=max(senders.waits), api_full_acked=len(senders.acked)
    )


@asynccontextmanager
async def _full(installation: Installation):
    """Nobody gets a connection as the application, and those there were are gone."""
    async with installation.superuser.begin() as connection:
        await connection.execute(text("alter role suture_app connection limit 0"))
    async with installation.superuser.begin() as connection:
        await connection.execute(text("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'suture_app'"))
    try:
        yield
    finally:
        async with installation.superuser.begin() as connection:
            await connection.execute(text("alter role suture_app connection limit -1"))


async def test_f14_an_exhausted_pool_is_told_to_callers(installation, org, fault):
    """Four requests hold their turns and wait for a row, and nothing is stored; the others hear 503 within two seconds."""
    headers = {"Authorization": f"Bearer {installation.admin_token}"}
    async with aiohttp.ClientSession(timeout=HANGS_AFTER, headers=headers) as session:
        async with installation.superuser.begin() as connection:
            await connection.execute(text("select from audit_heads where org_id = :org for update"), {"org": org})
            asking = [asyncio.create_task(_posted(installation, session)) for _ in range(40)]
            told, _ = await asyncio.wait(asking, timeout=2 * ANSWERED_WITHIN)
            early = [task.result() for task in told]
        late = [await task for task in asking if task not in told]
    slow = [f"answered after {wait:.2f} s" for _, wait in early if wait > ANSWERED_WITHIN]
    broken = slow + [f"answered {status}" for status, _ in early if status != 503]
    broken += [f"answered {status} once there was room" for status, _ in late if status not in {201, 503}]
    broken += [] if early and late else [f"{len(early)} were told and {len(late)} waited"]
    fault.note(runs=40, violations=broken, api_told=len(early), api_told_p99_s=max((wait for _, wait in early), default=0.0))


async def _posted(installation: Installation, session: aiohttp.ClientSession) -> tuple[int, float]:
    began = time.monotonic()
    body = {"event_type": "fault", "payload": {}}
    async with session.post(f"{installation.api_url}/api/v1/events", json=body) as answer:
        await answer.read()
        return answer.status, time.monotonic() - began


async def _lost(installation: Installation, org: OrgId, senders: Senders) -> list[str]:
    return await checker.lost_signals(installation.superuser, org, [each for _, each in senders.acked])
