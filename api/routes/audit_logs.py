"""The audit log: filter it, verify it, export it, sign how long it is, prove that an entry is in it."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import JsonValue

from api.deps import Caller, KeyedRoute, Page, PagingOf, Services, Short, Shown, guarded
from domain.audit import AuditFilter, InclusionProof
from domain.base import Digest, IncidentId, Instant, Value
from domain.errors import ConflictError, NotFoundError
from domain.ledger import ActorType, Verification

router = APIRouter(prefix="/audit-logs", tags=["audit"], route_class=KeyedRoute)


class AuditOut(Shown):
    names: ClassVar[Mapping[str, str]] = {"incident_id": "incident", "before_json": "before", "after_json": "after"}
    seq: int
    actor_type: ActorType
    actor_id: str
    action: str
    resource_type: str
    resource_id: str
    before_json: JsonValue
    after_json: JsonValue
    trace_id: str | None
    correlation_id: str | None
    incident_id: IncidentId | None
    created_at: Instant
    hash: Digest


class CheckpointOut(Value):
    """A signed note, and the key to verify it with."""

    note: str
    key: str


@router.get("", **guarded("audit.read"))
async def find(
    caller: Caller,
    services: Services,
    paging: PagingOf,
    actor_id: Short | None = None,
    action: Short | None = None,
    resource_type: Short | None = None,
    resource_id: Short | None = None,
    incident_id: Annotated[IncidentId | None, Query()] = None,
    trace_id: Short | None = None,
) -> Page[AuditOut]:
    """The newest first."""
    wanted = AuditFilter(
        actor=actor_id,
        action=action,
        resource_type=resource_type,
        resource_id=resource_id,
        incident=incident_id,
        trace_id=trace_id,
    )
    place = paging.position()
    found = await services.audit.page(caller.org, wanted, before=int(place[0]) if place else None, limit=paging.ask)
    return paging.page([AuditOut.of(each) for each in found], lambda each: (str(each.seq),))


@router.get("/checkpoint", **guarded("audit.read", NotFoundError))
async def latest_checkpoint(caller: Caller, services: Services) -> CheckpointOut:
    return CheckpointOut(note=await services.audit.latest_checkpoint(caller.org), key=services.audit.key)


@router.post("/checkpoint", status_code=201, **guarded("audit.export", NotFoundError, ConflictError))
async def checkpoint(caller: Caller, services: Services) -> CheckpointOut:
    """Verify the whole log and sign how long it is."""
    return CheckpointOut(note=await services.audit.checkpoint(caller.org), key=services.audit.key)


@router.get("/verify", **guarded("audit.read"))
async def verify(caller: Caller, services: Services) -> Verification:
    """Walk the whole chain; the first bad entry is named."""
    return await services.audit.verify(caller.org)


@router.get(
    "/export",
    response_class=StreamingResponse,
    **guarded("audit.export", answers={200: "application/jsonl that verifies offline"}),
)
async def export(caller: Caller, services: Services) -> StreamingResponse:
    return StreamingResponse(services.audit.export(caller.org), media_type="application/jsonl")


@router.get("/{seq}/proof", **guarded("audit.read", NotFoundError))
async def proof(seq: Annotated[int, Path(ge=1, lt=2**53)], caller: Caller, services: Services) -> InclusionProof:
    """That the entry is among the first `size`, whose Merkle root is `root` (RFC 9162)."""
    return await services.audit.proof(caller.org, seq)
