"""Long work that was accepted and is asked about later."""

from enum import StrEnum

from domain.base import Instant, OperationId, Value


class OperationStatus(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Operation(Value):
    id: OperationId
    kind: str
    status: OperationStatus
    resource_type: str
    resource_id: str
    created_at: Instant
    updated_at: Instant
