"""The invariants that hold after every fault, judged by the targets' own ledgers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.checkpoints import CheckpointFolder
from domain.base import OrgId, SignalId
from services.audit import Audit
from services.ports import NoteSigner
from storage.engine import Database
from tests.faults.runner import StepEffect
from tests.faults.target import Effect

STOPPED_AFTER = timedelta(seconds=1)

_SIGNALS = text("select id, count(*) as times from signals where org_id = :org and id = any (:ids) group by id")
_GRANT = text(
    "select count(*) from grants g where g.org_id = :org and g.plan_id = cast(:plan as uuid) and g.digest = :digest"
    " and g.status = 'consumed' and g.consumed_at <= g.execute_by and extract(epoch from g.consumed_at) <= :at"
)
_INTENT = text(
    "select (select count(*) from commands where org_id = :org and key = :key and extract(epoch from started_at) <= :at),"
    " (select count(*) from receipts where org_id = :org and key = :key)"
)
_ATTEMPTS = text(
    "select count(*) filter (where extract(epoch from created_at) <= :at),"
    " count(*) filter (where status = 'passed'), count(*) filter (where status in ('intent', 'started'))"
    " from stage_attempts where org_id = :org and step_key = :key and kind <> 'dry_run'"
)
_STUCK = text(
    "select id from executions where org_id = :org and status in ('pending', 'running')"
    " union all select e.id from executions e join incidents i on (i.org_id, i.id) = (e.org_id, e.incident_id)"
    " where e.org_id = :org and e.status = 'waiting' and i.ended_at is not null"
)


async def broken_chain(database: Database, signer: NoteSigner, org: OrgId, folder) -> list[str]:
    """I5: the audit chain verifies."""
    found = await Audit(database, signer, CheckpointFolder(folder)).verify(org)
    return [f"I5: the audit chain breaks at {found.fault.seq}: {found.fault.message}"] if found.fault else []


async def lost_signals(superuser: AsyncEngine, org: OrgId, acked: Sequence[SignalId]) -> list[str]:
    """I1: what was acknowledged as stored exists exactly once."""
    async with superuser.connect() as connection:
        rows = await connection.execute(_SIGNALS, {"org": org, "ids": list(set(acked))})
        found: dict[UUID, int] = {row.id: row.times for row in rows}
    counts = {each: found.get(each, 0) for each in set(acked)}
    return [f"I1: {each} was acknowledged and is there {count} times" for each, count in counts.items() if count != 1]


def repeated(keys: Iterable[str]) -> list[str]:
    """I3: a key has one effect at most."""
    return [f"I3: {key} has {count} effects" for key, count in Counter(keys).items() if count > 1]


async def ungranted(superuser: AsyncEngine, effects: Sequence[StepEffect]) -> list[str]:
    """I2, I3, I5: every effect of a plan has its grant, its intent before and one receipt after."""
    broken = repeated(each.key for each in effects)
    async with superuser.connect() as connection:
        for each in effects:
            values = {"org": each.org, "plan": each.plan, "digest": each.digest, "at": each.at, "key": each.key}
            if (await connection.execute(_GRANT, values)).scalar_one() != 1:
                broken.append(f"I2: {each.key} had no grant for its digest")
            intents, receipts = (await connection.execute(_INTENT, values)).one()
            if (intents, receipts) != (1, 1):
                broken.append(f"I5: {each.key} has {intents} intents before it and {receipts} receipts")
    return broken


async def unexplained(superuser: AsyncEngine, org: OrgId, effects: Sequence[Effect]) -> list[str]:
    """I3, I5: every effect of a stage happened once, after an intent, and its result is known."""
    broken = repeated(each.key for each in effects)
    async with superuser.connect() as connection:
        for each in effects:
            before, passed, still = (await connection.execute(_ATTEMPTS, {"org": org, "key": each.key, "at": each.at})).one()
            if not before or passed != 1 or still:
                broken.append(f"I5: {each.key} has {before} intents before it, {passed} results and {still} open attempts")
    return broken


async def stuck(superuser: AsyncEngine, org: OrgId) -> list[str]:
    """I4: no run is left behind."""
    async with superuser.connect() as connection:
        return [f"I4: the run {each} is stuck" for each in (await connection.execute(_STUCK, {"org": org})).scalars()]


def late(stopped_at: float, effects: Sequence[Effect | StepEffect]) -> list[str]:
    """I9: one second after the switch nothing happens any more."""
    limit = stopped_at + STOPPED_AFTER.total_seconds()
    return [f"I9: {each.key} happened {each.at - stopped_at:.2f} s after the switch" for each in effects if each.at > limit]
