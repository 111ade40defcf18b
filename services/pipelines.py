"""Pipelines as people write them: apply a file, change a config, look at versions."""

from collections.abc import Mapping
from uuid import UUID

from pydantic import JsonValue, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import Digest, PipelineId
from domain.canonical import digest
from domain.errors import ForbiddenError, InvalidError, NotFoundError, PreconditionFailedError
from domain.identity import Caller
from domain.pipeline import PipelineSpec
from domain.versions import ConfigVersion, Pipeline
from services.guard import Guard
from services.ledger import Ledger
from storage import identity as identities
from storage import pipelines as store
from storage.engine import Database, new_id, repeatable


class Pipelines:
    def __init__(self, database: Database, ledger: Ledger, guard: Guard) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard

    async def apply(self, caller: Caller, spec: PipelineSpec, code: Digest) -> Pipeline:
        """Create the pipeline, or give it a next version; the same content again changes nothing.

        Raises:
            InvalidError: the environment has no row, or the owner is not a principal.
            ForbiddenError: the pipeline lives in another environment.
        """

        async def work(session: AsyncSession) -> Pipeline:
            await self._guard.check_org_active(session, caller.org)
            existing = await store.find(session, spec.pipeline)
            if existing is None:
                return await self._create(session, caller, spec, code)
            return await self._next(session, caller, existing.id, spec, code)

        return await self._database.retrying(caller.org, work)

    async def configure(
        self, caller: Caller, pipeline: PipelineId, config: Mapping[str, JsonValue], *, if_match: str | None = None
    ) -> Pipeline:
        """A next version whose config has `config` in place of the old one, with the same stages and code.

        Raises:
            NotFoundError, InvalidError, PreconditionFailedError
        """

        async def work(session: AsyncSession) -> Pipeline:
            current = await store.get_for_update(session, pipeline)
            version = await store.version(session, pipeline, current.version)
            if if_match is not None and if_match != version.digest:
                raise PreconditionFailedError("the pipeline has changed since it was read; read it again")
            spec = _with_config(version.spec, config)
            return await self._next(session, caller, pipeline, spec, version.code)

        return await self._database.retrying(caller.org, work)

    @repeatable
    async def set_active(self, caller: Caller, pipeline: PipelineId, *, active: bool) -> Pipeline:
        async with self._database.transaction(caller.org) as session:
            before = await store.get_for_update(session, pipeline)
            await store.set_active(session, pipeline, active=active)
            await self._enter(session, caller, before, "pipeline.activated" if active else "pipeline.deactivated", {})
        return await self.get(caller, pipeline)

    async def get(self, caller: Caller, pipeline: PipelineId) -> Pipeline:
        async with self._database.transaction(caller.org) as session:
            return await store.get(session, pipeline)

    async def find(self, caller: Caller, name: str) -> Pipeline:
        """Raises NotFoundError: the org has no pipeline of this name."""
        async with self._database.transaction(caller.org) as session:
            if (found := await store.find(session, name)) is None:
                raise NotFoundError("no pipeline of this name")
            return found

    async def page(self, caller: Caller, *, after: UUID | None, limit: int) -> list[Pipeline]:
        async with self._database.transaction(caller.org) as session:
            return await store.page(session, after=after, limit=limit)

    async def versions(self, caller: Caller, pipeline: PipelineId, *, limit: int) -> list[ConfigVersion]:
        async with self._database.transaction(caller.org) as session:
            await store.get(session, pipeline)
            return await store.versions(session, pipeline, limit=limit)

    async def current(self, caller: Caller, pipeline: PipelineId) -> ConfigVersion:
        async with self._database.transaction(caller.org) as session:
            return await store.version(session, pipeline, (await store.get(session, pipeline)).version)

    async def _create(self, session: AsyncSession, caller: Caller, spec: PipelineSpec, code: Digest) -> Pipeline:
        await self._check_environment(session, spec)
        pipeline = Pipeline(
            id=PipelineId.of(await new_id(session)),
            org=caller.org,
            name=spec.pipeline,
            environment=spec.environment,
            owner=caller.id,
            version=1,
            config=spec.config,
            is_active=True,
        )
        await store.add(session, pipeline)
        await store.add_version(session, caller.org, _version(pipeline.id, 1, spec, code, caller))
        await self._enter(session, caller, pipeline, "pipeline.created", {"version": 1})
        return pipeline

    async def _next(
        self, session: AsyncSession, caller: Caller, pipeline: PipelineId, spec: PipelineSpec, code: Digest
    ) -> Pipeline:
        current = await store.get_for_update(session, pipeline)
        if current.environment != spec.environment:
            raise ForbiddenError(f"the pipeline lives in {current.environment}; give the other one a name of its own")
        before = await store.version(session, pipeline, current.version)
        if before.digest == _digest(spec, code):
            return current
        number = (await store.versions(session, pipeline, limit=1))[0].version + 1
        version = _version(pipeline, number, spec, code, caller)
        await store.add_version(session, caller.org, version)
        await store.set_current(session, version)
        change: dict[str, JsonValue] = {"version": number, "from": before.version, "digest": version.digest}
        await self._enter(session, caller, current, "pipeline.changed", change)
        return current.model_copy(update={"version": number, "config": spec.config})

    async def _check_environment(self, session: AsyncSession, spec: PipelineSpec) -> None:
        try:
            await identities.environment(session, spec.environment)
        except NotFoundError as error:
            raise InvalidError("the environment has no row; an admin creates it first", pointer="/environment") from error

    async def _enter(
        self, session: AsyncSession, caller: Caller, pipeline: Pipeline, action: str, after: Mapping[str, JsonValue]
    ) -> None:
        await self._ledger.append(
            session,
            caller.org,
            action,
            actor=Actor.calling(caller),
            resource_type="pipeline",
            resource_id=pipeline.id.shown,
            before={"version": pipeline.version},
            after=dict(after),
        )


def _digest(spec: PipelineSpec, code: Digest) -> Digest:
    return digest({"spec": spec.model_dump(mode="json"), "code": code})


def _version(pipeline: PipelineId, number: int, spec: PipelineSpec, code: Digest, caller: Caller) -> ConfigVersion:
    return ConfigVersion(pipeline=pipeline, version=number, digest=_digest(spec, code), spec=spec, code=code, author=caller.id)


def _with_config(spec: PipelineSpec, config: Mapping[str, JsonValue]) -> PipelineSpec:
    """Raises InvalidError: the stages and this config do not hold together."""
    try:
        return PipelineSpec.model_validate(spec.model_dump(mode="json") | {"config": dict(config)})
    except ValidationError as error:
        raise InvalidError(
            "the stages use a key that this config lacks, or a value cannot be stored", pointer="/config"
        ) from error
