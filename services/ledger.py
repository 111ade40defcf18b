"""Append to an org's ledger in the caller's transaction: nothing changes without its entry."""

import hashlib
import json
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import Digest, IncidentId, OrgId
from domain.canonical import canonical
from domain.errors import InvalidError
from domain.ledger import GENESIS, Entry, Record, link
from domain.trace import current_trace
from storage import audit as store

_DETAIL_LIMIT = 256 * 1024


class Ledger:
    async def append(
        self,
        session: AsyncSession,
        org: OrgId,
        action: str,
        *,
        actor: Actor,
        resource_type: str,
        resource_id: str,
        before: Any = None,
        after: Any = None,
        incident: IncidentId | None = None,
    ) -> int:
        """The entry's seq. The org's chain stays locked until the caller's transaction ends, so append last.

        Raises:
            InvalidError: `before` or `after` cannot be written as canonical JSON.
        """
        before, before_digest = _detail(before)
        after, after_digest = _detail(after)
        place = await store.take_place(session, org)
        trace_id, correlation_id = _trace()
        record = Record(
            org_id=org,
            seq=place.seq,
            at=place.at,
            actor_type=actor.kind,
            actor_id=actor.id,
            action=action,
            resource_type=resource_type,
            resource_id=resource_id,
            trace_id=trace_id,
            correlation_id=correlation_id,
            before_digest=before_digest,
            after_digest=after_digest,
        )
        entry = link(_previous(org, place), record)
        await store.add(session, entry, before=before, after=after, incident=incident)
        return place.seq


def _previous(org: OrgId, place: store.Place) -> Entry | None:
    """All that the next link needs of the entry before it: its place and its hash."""
    if place.seq == 1:
        return None
    return Entry(org=org, seq=place.seq - 1, previous=GENESIS, body="", hash=place.previous)


def _trace() -> tuple[str, str | None]:
    """Work that no request caused starts a trace of its own."""
    trace = current_trace.get()
    return (trace.trace_id, trace.correlation_id) if trace else (uuid4().hex, None)


def _detail(value: Any) -> tuple[Any, Digest | None]:
    """What is stored apart from the chain, and its digest, which is chained."""
    if value is None:
        return None, None
    text = canonical(value)
    if len(text) > _DETAIL_LIMIT:
        raise InvalidError(f"expected a change of at most {_DETAIL_LIMIT} bytes in an audit entry, got {len(text)}")
    return json.loads(text), hashlib.sha256(text).hexdigest()
