"""What people read of a ledger: entries with what changed, which entries they want, and proofs."""

from pydantic import Field, JsonValue

from domain.base import Digest, IncidentId, Instant, Value
from domain.ledger import ActorType


class AuditItem(Value):
    """`before` and `after` are empty when nothing changed or when they were erased."""

    seq: int
    actor_type: ActorType
    actor_id: str
    action: str
    resource_type: str
    resource_id: str
    created_at: Instant
    trace_id: str | None
    correlation_id: str | None
    incident: IncidentId | None
    before: JsonValue = None
    after: JsonValue = None
    hash: Digest


class AuditFilter(Value):
    actor: str | None = Field(default=None, max_length=255)
    action: str | None = Field(default=None, max_length=255)
    resource_type: str | None = Field(default=None, max_length=255)
    resource_id: str | None = Field(default=None, max_length=255)
    incident: IncidentId | None = None
    trace_id: str | None = Field(default=None, max_length=255)


class InclusionProof(Value):
    """That entry `seq` is among the first `size`, whose Merkle root is `root` (RFC 9162)."""

    seq: int
    leaf: Digest
    size: int
    root: Digest
    path: tuple[Digest, ...]
