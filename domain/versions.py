"""A pipeline as it stands, and each version its content has had."""

from enum import StrEnum

from pydantic import JsonValue

from domain.base import Digest, Instant, OrgId, PipelineId, PrincipalId, Value
from domain.pipeline import PipelineSpec


class Origin(StrEnum):
    AUTHOR = "author"
    REMEDIATION = "remediation"


class Pipeline(Value):
    id: PipelineId
    org: OrgId
    name: str
    environment: str
    owner: PrincipalId
    version: int
    config: dict[str, JsonValue]
    is_active: bool
    created_at: Instant | None = None
    updated_at: Instant | None = None


class ConfigVersion(Value):
    """What a run of that version does: the file and the code, by digest; `restores` names the version it puts back."""

    pipeline: PipelineId
    version: int
    digest: Digest
    spec: PipelineSpec
    code: Digest
    author: PrincipalId
    origin: Origin = Origin.AUTHOR
    restores: int | None = None
    created_at: Instant | None = None
