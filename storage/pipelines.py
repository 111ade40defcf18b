"""Pipelines and their versions; a version is never changed, the pipeline says which one is current."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import OrgId, PipelineId, PrincipalId
from domain.errors import NotFoundError
from domain.pipeline import PipelineSpec
from domain.versions import ConfigVersion, Origin, Pipeline
from storage.engine import document, moment


class WorkflowRow(SQLModel, table=True):
    __tablename__ = "workflows"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    name: str
    description: str = ""
    is_active: bool = True
    created_at: datetime | None = Field(default=None, sa_column=moment())
    updated_at: datetime | None = Field(default=None, sa_column=moment())


class PipelineRow(SQLModel, table=True):
    __tablename__ = "pipelines"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    name: str
    environment: str
    owner_id: UUID
    version: int
    config_json: dict[str, Any] = Field(sa_column=document())
    is_active: bool = True
    created_at: datetime | None = Field(default=None, sa_column=moment())
    updated_at: datetime | None = Field(default=None, sa_column=moment())


class ConfigVersionRow(SQLModel, table=True):
    __tablename__ = "config_versions"
    org_id: UUID = Field(primary_key=True)
    pipeline_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    digest: str
    spec: dict[str, Any] = Field(sa_column=document())
    code: str
    author_id: UUID
    origin: str
    restores: int | None = None
    created_at: datetime | None = Field(default=None, sa_column=moment())


async def add(session: AsyncSession, pipeline: Pipeline) -> None:
    session.add(WorkflowRow(org_id=pipeline.org, id=pipeline.id, name=pipeline.name, description="a pipeline of our own"))
    await session.flush()
    session.add(
        PipelineRow(
            org_id=pipeline.org,
            id=pipeline.id,
            name=pipeline.name,
            environment=pipeline.environment,
            owner_id=pipeline.owner,
            version=pipeline.version,
            config_json=dict(pipeline.config),
            is_active=pipeline.is_active,
        )
    )
    await session.flush()


async def add_version(session: AsyncSession, org: OrgId, version: ConfigVersion) -> None:
    session.add(
        ConfigVersionRow(
            org_id=org,
            pipeline_id=version.pipeline,
            version=version.version,
            digest=version.digest,
            spec=version.spec.model_dump(mode="json"),
            code=version.code,
            author_id=version.author,
            origin=version.origin,
            restores=version.restores,
        )
    )
    await session.flush()


async def set_current(session: AsyncSession, version: ConfigVersion) -> None:
    """Make `version` the one that the next run uses."""
    statement = (
        update(PipelineRow)
        .where(col(PipelineRow.id) == version.pipeline)
        .values(version=version.version, config_json=dict(version.spec.config), updated_at=func.suture.now())
    )
    await session.execute(statement)


async def set_active(session: AsyncSession, pipeline: PipelineId, *, active: bool) -> None:
    for row in (PipelineRow, WorkflowRow):
        statement = update(row).where(col(row.id) == pipeline).values(is_active=active, updated_at=func.suture.now())
        await session.execute(statement)


async def get(session: AsyncSession, pipeline: PipelineId) -> Pipeline:
    """Raises NotFoundError: no such pipeline in the caller's org."""
    return await _one(session, select(PipelineRow).where(PipelineRow.id == pipeline), f"no pipeline {pipeline.shown}")


async def get_for_update(session: AsyncSession, pipeline: PipelineId) -> Pipeline:
    """As `get`, locked until the transaction ends."""
    statement = select(PipelineRow).where(PipelineRow.id == pipeline).with_for_update()
    return await _one(session, statement, f"no pipeline {pipeline.shown}")


async def find(session: AsyncSession, name: str) -> Pipeline | None:
    row = await session.scalar(select(PipelineRow).where(PipelineRow.name == name))
    return _to_value(row) if row else None


async def page(session: AsyncSession, *, after: UUID | None, limit: int) -> list[Pipeline]:
    """Pipelines, the newest first."""
    statement = select(PipelineRow).order_by(col(PipelineRow.id).desc()).limit(limit)
    if after is not None:
        statement = statement.where(col(PipelineRow.id) < after)
    return [_to_value(row) for row in await session.scalars(statement)]


async def version(session: AsyncSession, pipeline: PipelineId, number: int) -> ConfigVersion:
    """Raises NotFoundError: the pipeline has no such version."""
    statement = select(ConfigVersionRow).where(ConfigVersionRow.pipeline_id == pipeline, ConfigVersionRow.version == number)
    row = await session.scalar(statement)
    if row is None:
        raise NotFoundError(f"no version {number} of pipeline {pipeline.shown}")
    return _to_version(row)


async def versions(session: AsyncSession, pipeline: PipelineId, *, limit: int) -> list[ConfigVersion]:
    """Versions, the newest first."""
    statement = (
        select(ConfigVersionRow)
        .where(ConfigVersionRow.pipeline_id == pipeline)
        .order_by(col(ConfigVersionRow.version).desc())
        .limit(limit)
    )
    return [_to_version(row) for row in await session.scalars(statement)]


async def _one(session: AsyncSession, statement: Any, missing: str) -> Pipeline:
    row = await session.scalar(statement)
    if row is None:
        raise NotFoundError(missing)
    return _to_value(row)


def _to_value(row: PipelineRow) -> Pipeline:
    return Pipeline(
        id=PipelineId.of(row.id),
        org=OrgId.of(row.org_id),
        name=row.name,
        environment=row.environment,
        owner=PrincipalId.of(row.owner_id),
        version=row.version,
        config=row.config_json,
        is_active=row.is_active,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _to_version(row: ConfigVersionRow) -> ConfigVersion:
    return ConfigVersion(
        pipeline=PipelineId.of(row.pipeline_id),
        version=row.version,
        digest=row.digest,
        spec=PipelineSpec.model_validate(row.spec),
        code=row.code,
        author=PrincipalId.of(row.author_id),
        origin=Origin(row.origin),
        restores=row.restores,
        created_at=row.created_at,
    )
