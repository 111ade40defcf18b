"""Where each service's monitor has read up to, what it has learnt, and the minutes it has added up."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import OrgId
from domain.errors import ConflictError
from domain.refs import MonitorRef
from domain.watch import Arrival, Cursor, Learnt, LogPatterns, Monitor, Sum

MOST_MONITORS = 2_000
"""What an org may have watched: whoever makes up names of services makes up no more work than this."""

_AWAKE = text(
    "select service.environment, service.service"
    " from unnest(cast(:environments as text[]), cast(:services as text[])) as service (environment, service)"
    " join monitors m using (environment, service) where m.is_awake order by 1, 2 for key share of m"
)
_WAKE = text(
    "insert into monitors as known (org_id, environment, service)"
    " select :org, each.environment, each.service"
    " from unnest(cast(:environments as text[]), cast(:services as text[])) as each (environment, service)"
    " join environments e on e.name = each.environment"
    " where exists (select from monitors m where (m.environment, m.service) = (each.environment, each.service))"
    "   or (select count(*) from monitors) < :most"
    " order by 2, 3"
    " on conflict (org_id, environment, service) do update set is_awake = true, updated_at = suture.now()"
    "   where not known.is_awake"
    " returning environment, service"
)
_GET = """select version, read_written::text as written, read_id as id, next_template, lines, patterns from monitors
where environment = :environment and service = :service"""
_HOLD = f"{_GET} for update"
_READ = text(
    """select id, written::text as written, received_at, ts, kind, key, value, text, severity, labels, count from signals
where environment = :environment and service = :service
  and (written, id) > (cast(cast(:written as text) as xid8), cast(:id as uuid))
  and written < pg_snapshot_xmin(pg_current_snapshot())
order by signals.written, signals.id limit :limit"""
)
_WAITING = text(
    """select exists (select from signals where environment = :environment and service = :service
  and (written, id) > (cast(cast(:written as text) as xid8), cast(:id as uuid)))"""
)
_SET_PATTERNS = text(
    "update monitors set patterns = cast(cast(:patterns as text) as jsonb), updated_at = suture.now()"
    " where environment = :environment and service = :service"
)
_ADVANCE = text(
    "update monitors set version = version + 1, read_written = cast(cast(:written as text) as xid8),"
    " read_id = cast(:id as uuid), next_template = :next_template, lines = :lines, updated_at = suture.now()"
    " where environment = :environment and service = :service and version = :version"
)
_REST = text(
    "update monitors set is_awake = false, updated_at = suture.now() where environment = :environment and service = :service"
)
_ADD_UP = """insert into {table} as known
  (org_id, environment, service, kind, subject, at, count, total, lowest, highest)
select :org, :environment, :service, each.* from json_to_recordset(cast(cast(:rows as text) as json))
  as each (kind text, subject text, at timestamptz, count bigint, total float8, lowest float8, highest float8)
on conflict (org_id, environment, service, at, kind, subject) do update set count = known.count + excluded.count,
  total = known.total + excluded.total, lowest = least(known.lowest, excluded.lowest),
  highest = greatest(known.highest, excluded.highest)"""
_ADD_UP_BY = {minutes: text(_ADD_UP.replace("{table}", f"signal_rollups_{minutes}m")) for minutes in (1, 5)}
_SERIES = text("select detector, subject, state from monitor_series where environment = :environment and service = :service")
_KEEP_SERIES = text(
    "insert into monitor_series (org_id, environment, service, detector, subject, state, seen_at)"
    " select :org, :environment, :service, each.* from json_to_recordset(cast(cast(:rows as text) as json))"
    " as each (detector text, subject text, state jsonb, seen_at timestamptz)"
    " on conflict (org_id, environment, service, detector, subject)"
    " do update set state = excluded.state, seen_at = excluded.seen_at"
)


async def wake(session: AsyncSession, org: OrgId, services: Collection[tuple[str, str]]) -> list[MonitorRef]:
    """Of these pairs of environment and service, those whose monitor slept or is new: somebody has to be told.

    A monitor that is awake cannot fall asleep before this transaction ends. What is in an environment the org has not, or
    beyond `MOST_MONITORS`, is not watched.
    """
    awake = {tuple(row) for row in await session.execute(_AWAKE, _pairs(services))}
    asleep = [each for each in sorted(services) if each not in awake]
    if not asleep:
        return []
    woken = await session.execute(_WAKE, _pairs(asleep) | {"org": org, "most": MOST_MONITORS})
    return [MonitorRef(org=org, environment=environment, service=service) for environment, service in woken]


async def get(session: AsyncSession, ref: MonitorRef) -> Monitor | None:
    return _monitor((await session.execute(text(_GET), _named(ref))).mappings().one_or_none())


async def held(session: AsyncSession, ref: MonitorRef) -> Monitor | None:
    """As `get`, locked until the transaction ends."""
    return _monitor((await session.execute(text(_HOLD), _named(ref))).mappings().one_or_none())


async def set_patterns(session: AsyncSession, ref: MonitorRef, patterns: LogPatterns) -> None:
    """Its lines are read with these from the next look on."""
    await session.execute(_SET_PATTERNS, _named(ref) | {"patterns": patterns.model_dump_json()})


async def unread(session: AsyncSession, ref: MonitorRef, after: Cursor, *, limit: int) -> list[Arrival]:
    """The next signals, in the order of the transactions that wrote them; none that a running one may still precede."""
    found = await session.execute(_READ, _named(ref) | _place(after) | {"limit": limit})
    return [Arrival.model_construct(**(dict(row) | {"written": int(row["written"])})) for row in found.mappings()]


async def advance(session: AsyncSession, ref: MonitorRef, to: Monitor) -> None:
    """Store `to` in place of the version before it.

    Raises:
        ConflictError: somebody else has read on since.
    """
    values = {"version": to.version - 1, "next_template": to.next_template, "lines": to.lines}
    done = await session.execute(_ADVANCE, _named(ref) | _place(to.cursor) | values)
    if not done.rowcount:  # type: ignore[attr-defined]
        raise ConflictError("somebody else has read on; look again")


async def rest(session: AsyncSession, ref: MonitorRef) -> bool:
    """Whether the monitor sleeps now; it does not when signals wait, whatever wrote them while it was tired."""
    monitor = await held(session, ref)
    if monitor is None:
        return True
    if await session.scalar(_WAITING, _named(ref) | _place(monitor.cursor)):
        return False
    await session.execute(_REST, _named(ref))
    return True


async def add_up(session: AsyncSession, ref: MonitorRef, minutes: int, sums: Sequence[Sum]) -> None:
    """Add to the rollups of one or of five minutes."""
    if sums:
        rows = json.dumps([each.model_dump(mode="json") for each in sums])
        await session.execute(_ADD_UP_BY[minutes], _named(ref) | {"org": ref.org, "rows": rows})


async def series(session: AsyncSession, ref: MonitorRef) -> dict[tuple[str, str], Mapping[str, JsonValue]]:
    """What the detectors of the service have learnt, by detector and subject."""
    return {(row.detector, row.subject): row.state for row in await session.execute(_SERIES, _named(ref))}


async def keep_series(session: AsyncSession, ref: MonitorRef, learnt: Iterable[Learnt]) -> None:
    rows = json.dumps([each.model_dump(mode="json") for each in learnt])
    await session.execute(_KEEP_SERIES, _named(ref) | {"org": ref.org, "rows": rows})


def _pairs(services: Collection[tuple[str, str]]) -> dict[str, list[str]]:
    ordered = sorted(services)
    return {"environments": [each for each, _ in ordered], "services": [each for _, each in ordered]}


def _named(ref: MonitorRef) -> dict[str, Any]:
    return {"environment": ref.environment, "service": ref.service}


def _place(cursor: Cursor) -> dict[str, Any]:
    return {"written": str(cursor.written), "id": cursor.id}


def _monitor(row: Any) -> Monitor | None:
    if row is None:
        return None
    cursor = Cursor(written=int(row["written"]), id=row["id"])
    known = {name: row[name] for name in ("version", "next_template", "lines", "patterns")}
    return Monitor(cursor=cursor, **known)
