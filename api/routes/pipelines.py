"""Pipelines: apply a file with its code, change a config, look at versions, start a run."""

from collections.abc import Mapping
from typing import ClassVar

from fastapi import APIRouter, Response
from pydantic import AliasChoices, Field, JsonValue

from api.deps import (
    Caller,
    IfMatch,
    IfNoneMatch,
    KeyedRoute,
    Page,
    PagingOf,
    Services,
    Shown,
    check_match,
    etag_of,
    guarded,
    is_unchanged,
    not_modified,
)
from api.routes.executions import ExecutionOut
from api.routes.operations import operation_at
from domain.base import Digest, Instant, OrgId, PipelineId, PrincipalId, Value
from domain.canonical import digest
from domain.errors import ConflictError, NotFoundError, PreconditionFailedError, StoppedError
from domain.pipeline import Config, PipelineSpec
from domain.versions import ConfigVersion, Origin, Pipeline
from services.code import store_code

router = APIRouter(prefix="/pipelines", tags=["pipelines"], route_class=KeyedRoute)


class PipelineIn(Value):
    """A pipeline file as JSON, and the files of its `code` folder: relative paths to contents in base64."""

    spec: PipelineSpec
    code: dict[str, str] = Field(default_factory=dict, max_length=2_000)


class PipelineChange(Value):
    """Only what is set changes; `config` replaces the whole config."""

    config: Config | None = Field(default=None, validation_alias=AliasChoices("config", "config_json"))
    is_active: bool | None = None


class PipelineOut(Shown):
    names: ClassVar[Mapping[str, str]] = {"org_id": "org", "owner_id": "owner", "config_json": "config"}
    id: PipelineId
    org_id: OrgId
    name: str
    environment: str
    owner_id: PrincipalId
    version: int
    config_json: dict[str, JsonValue]
    is_active: bool
    created_at: Instant | None
    updated_at: Instant | None


class VersionOut(Shown):
    names: ClassVar[Mapping[str, str]] = {"pipeline_id": "pipeline", "author_id": "author"}
    pipeline_id: PipelineId
    version: int
    digest: Digest
    spec: PipelineSpec
    code: Digest
    author_id: PrincipalId
    origin: Origin
    restores: int | None
    created_at: Instant | None


@router.post("", status_code=201, **guarded("pipeline.write", ConflictError))
async def apply(body: PipelineIn, response: Response, caller: Caller, services: Services) -> PipelineOut:
    """Create the pipeline of this name, or give it a next version; the same content again changes nothing."""
    code = await store_code(services.blobs, body.code)
    pipeline = await services.pipelines.apply(caller, body.spec, code)
    response.headers["Location"] = f"/api/v1/pipelines/{pipeline.id.shown}"
    return PipelineOut.of(pipeline)


@router.get("", **guarded("pipeline.read"))
async def find(caller: Caller, services: Services, paging: PagingOf) -> Page[PipelineOut]:
    found = await services.pipelines.page(caller, after=paging.after(PipelineId), limit=paging.ask)
    return paging.page([PipelineOut.of(each) for each in found], lambda each: (each.id.shown,))


@router.get("/{pipeline_id}", response_model=PipelineOut, **guarded("pipeline.read", NotFoundError))
async def get(
    pipeline_id: PipelineId, response: Response, caller: Caller, services: Services, if_none_match: IfNoneMatch = None
) -> PipelineOut | Response:
    pipeline = await services.pipelines.get(caller, pipeline_id)
    tag = _tag(pipeline, await services.pipelines.current(caller, pipeline_id))
    if is_unchanged(if_none_match, current=tag):
        return not_modified(tag)
    response.headers["ETag"] = tag
    return PipelineOut.of(pipeline)


@router.patch("/{pipeline_id}", **guarded("pipeline.write", NotFoundError, PreconditionFailedError))
async def change(
    pipeline_id: PipelineId,
    body: PipelineChange,
    response: Response,
    caller: Caller,
    services: Services,
    if_match: IfMatch = None,
) -> PipelineOut:
    """A new config is a next version; what is not set stays."""
    pipeline, version = await services.pipelines.get(caller, pipeline_id), await services.pipelines.current(caller, pipeline_id)
    check_match(if_match, current=_tag(pipeline, version))
    seen = version.digest if if_match else None
    if body.config is not None:
        pipeline = await services.pipelines.configure(caller, pipeline_id, body.config, if_match=seen)
    if body.is_active is not None and body.is_active is not pipeline.is_active:
        pipeline = await services.pipelines.set_active(caller, pipeline_id, active=body.is_active)
    response.headers["ETag"] = _tag(pipeline, await services.pipelines.current(caller, pipeline_id))
    return PipelineOut.of(pipeline)


@router.post("/{pipeline_id}/runs", status_code=202, **guarded("run.start", NotFoundError, StoppedError))
async def run(pipeline_id: PipelineId, response: Response, caller: Caller, services: Services) -> ExecutionOut:
    """Start a run of the current version; its Location tells how it goes."""
    execution = await services.runs.start(caller, pipeline_id)
    response.headers["Location"] = operation_at(execution.id)
    return ExecutionOut.of(execution)


@router.get("/{pipeline_id}/versions", **guarded("pipeline.read", NotFoundError))
async def versions(pipeline_id: PipelineId, caller: Caller, services: Services) -> Page[VersionOut]:
    """The newest 200, the newest first."""
    found = await services.pipelines.versions(caller, pipeline_id, limit=200)
    return Page[VersionOut](items=tuple(VersionOut.of(each) for each in found))


def _tag(pipeline: Pipeline, version: ConfigVersion) -> str:
    return etag_of(digest({"version": version.digest, "is_active": pipeline.is_active}))
