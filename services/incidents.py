"""Incidents as the story ends them and as people read them: close, list, timeline."""

import logging
from collections.abc import Collection
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM, Actor
from domain.approval import GrantStatus
from domain.audit import AuditItem
from domain.base import ExecutionId, IncidentId, PlanId, ResumptionId
from domain.errors import ConflictError
from domain.execution import Execution
from domain.identity import Caller
from domain.incident import CALM, ENDED, FALSE_ALARM, RESTED_AT, RESTING, Incident, Severity, Status
from domain.pipeline import first_changed
from domain.plan import PlanStatus
from domain.refs import IncidentRef
from domain.resumption import Resumption
from domain.signal import signature
from domain.stage import Effect
from domain.versions import ConfigVersion
from services.guard import Guard
from services.ledger import Ledger
from services.opening import Breakage, open_incident
from storage import approvals, audit, executions, outbox, pipelines, plans, remediations
from storage import identity as identities
from storage import incidents as store
from storage.engine import Database, new_id, repeatable
from storage.outbox import Letter

log = logging.getLogger("suture.incidents")


class Incidents:
    def __init__(self, database: Database, ledger: Ledger, guard: Guard) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard

    async def open(self, caller: Caller, *, title: str, service: str, environment: str, severity: Severity) -> Incident:
        """An incident that a person opens by hand; nothing waits for it, so a person also closes it.

        Raises:
            NotFoundError: the environment has no row.
        """

        async def work(session: AsyncSession) -> Incident:
            await self._guard.check_org_active(session, caller.org)
            broken = Breakage(
                signature=signature(org=caller.org, service=service, error_code=title, workflow=""),
                title=title,
                service=service,
                environment=await identities.environment(session, environment),
                severity=severity,
                known={"title": title},
            )
            return await open_incident(session, self._ledger, caller.org, broken, actor=Actor.calling(caller))

        return await self._database.retrying(caller.org, work)

    async def look(self, ref: IncidentRef, *, by: str) -> Incident:
        """The incident as the workflow `by` finds it: with its runs, and whether another one carries a plan for it."""
        async with self._database.transaction(ref.org) as session:
            found = await self._with_runs(session, await store.get(session, ref.id))
            elsewhere = await plans.carried_elsewhere(session, ref.id, carrier=by)
            return found.model_copy(update={"is_carried_elsewhere": elsewhere})

    @repeatable
    async def close(self, ref: IncidentRef, status: Status, *, by: str) -> Incident:
        """End the story of the workflow `by` as `status`: verified resumes the other runs, a rest leaves them waiting.

        While another workflow carries a plan for the incident, only a fix that is verified ends it.

        A rest for which no run waits any more is an end; where none ever waited, a person opened it and closes it.
        """
        async with self._database.transaction(ref.org) as session:
            incident = await store.get_for_update(session, ref.id)
            if incident.ended_at is not None:
                return incident
            if status is not Status.VERIFIED and await plans.carried_elsewhere(session, ref.id, carrier=by):
                return incident
            waiting = await executions.waiting_on(session, ref.id)
            if status is Status.VERIFIED:
                for run in waiting:
                    await self._resume(session, incident, run)
            ended = status in ENDED or (status in RESTING and not waiting and await _had_runs(session, ref.id))
            meta = incident.meta | {RESTED_AT: incident.event_count}
            closed = await store.move(session, incident, status, ended=ended, meta=meta)
            for run in waiting:
                await outbox.add(session, ref.org, Letter.START_RUN, _letter(run))
            await self._enter(session, incident, f"incident.{status}", SYSTEM, {"waiting": [run.id.shown for run in waiting]})
            return closed

    @repeatable
    async def resolve(self, caller: Caller, incident_id: IncidentId, *, false_alarm: bool = False) -> Incident:
        """A person says it is over, or was nothing; runs that wait for it fail.

        Raises:
            ConflictError: it has ended, or is being worked on.
        """
        why: dict[str, object] = {FALSE_ALARM: True} if false_alarm else {}
        return await self._resolve(IncidentRef(org=caller.org, id=incident_id), Actor.calling(caller), why)

    async def calm(self, ref: IncidentRef, *, actor: Actor) -> None:
        """Whatever was odd is over by itself: so is the incident, unless it has ended or a fix is at work on it."""
        try:
            await self._resolve(ref, actor, {CALM: True})
        except ConflictError as error:
            log.info("an incident stays though it is calm", extra={"incident": ref.id.shown, "reason": str(error)})

    async def _resolve(self, ref: IncidentRef, actor: Actor, why: dict[str, object]) -> Incident:
        async with self._database.transaction(ref.org) as session:
            made = await plans.lock_open(session, ref.id)
            incident = await store.get_for_update(session, ref.id)
            if incident.ended_at is not None:
                raise ConflictError(f"the incident has ended as {incident.status}")
            if await plans.is_executing(session, ref.id):
                raise ConflictError("a fix is being executed; engage the kill switch to stop it")
            for plan in made:
                await self._void_grant(session, incident, plan)
            resolved = await store.move(session, incident, Status.RESOLVED, ended=True, meta=incident.meta | why)
            for run in await executions.waiting_on(session, ref.id):
                await outbox.add(session, ref.org, Letter.START_RUN, _letter(run))
            carriers = {incident.carrier, *(each.carrier for each in await plans.of_incident(session, ref.id, limit=50))}
            for carrier in sorted(carriers):
                await outbox.add(session, ref.org, Letter.WAKE, {"workflow_id": carrier})
            await self._enter(session, incident, "incident.resolved", actor, why)
            return resolved

    async def _void_grant(self, session: AsyncSession, incident: Incident, plan: PlanId) -> None:
        """What was granted and not begun is not wanted any more."""
        grant = await approvals.grant_of(session, plan)
        if grant is None or not await approvals.end_grant(session, grant.id, GrantStatus.VOID):
            return
        await plans.set_status(session, plan, PlanStatus.BLOCKED)
        await self._enter(session, incident, "grant.void", SYSTEM, {"grant": grant.id.shown, "plan": plan.shown})

    async def get(self, caller: Caller, incident: IncidentId) -> Incident:
        async with self._database.transaction(caller.org) as session:
            return await self._with_runs(session, await store.get(session, incident))

    async def page(
        self, caller: Caller, *, status: Status | None, service: str | None, after: UUID | None, limit: int
    ) -> list[Incident]:
        async with self._database.transaction(caller.org) as session:
            return await store.page(session, status=status, service=service, after=after, limit=limit)

    async def timeline(self, caller: Caller, incident: IncidentId, *, after: int = 0, limit: int = 200) -> list[AuditItem]:
        """What happened, oldest first, from the entry after `after`."""
        async with self._database.transaction(caller.org) as session:
            await store.get(session, incident)
            return await audit.story(session, incident, after=after, limit=limit)

    async def _with_runs(self, session: AsyncSession, incident: Incident) -> Incident:
        waiting = await executions.waiting_on(session, incident.id)
        heal_by = max((run.heal_by for run in waiting if run.heal_by), default=None)
        return incident.model_copy(update={"waiting_runs": tuple(run.id for run in waiting), "heal_by": heal_by})

    async def _resume(self, session: AsyncSession, incident: Incident, run: Execution) -> None:
        """Let another run of the healed incident go on, on the version that is current now.

        One that would repeat what acts at most once stays for a person, who may replay it.
        """
        if await remediations.open_resumption(session, run.id) is not None or run.failed_stage is None:
            return
        pipeline = await pipelines.get(session, run.pipeline)
        old = await pipelines.version(session, run.pipeline, run.config_version)
        new = await pipelines.version(session, run.pipeline, pipeline.version)
        start = _start(old, new, run.failed_stage)
        acted = {each.stage for each in await executions.attempts_without_output(session, run.id) if each.has_acted}
        if spent := _spent(new, start, acted):
            after: dict[str, object] = {"execution": run.id.shown, "stage": spent, "from_stage": start}
            await self._enter(session, incident, "run.not_resumed", SYSTEM, after)
            return
        resumption = Resumption(
            id=ResumptionId.of(await new_id(session)),
            execution=ExecutionId.of(run.id),
            plan=None,
            incident=incident.id,
            key=f"{incident.id}/{run.id}",
            from_stage=start,
            until_stage=run.failed_stage,
            config_version=new.version,
        )
        await remediations.add_resumption(session, incident.org, resumption)

    async def _enter(
        self, session: AsyncSession, incident: Incident, action: str, actor: Actor, after: dict[str, object]
    ) -> None:
        await self._ledger.append(
            session,
            incident.org,
            action,
            actor=actor,
            resource_type="incident",
            resource_id=incident.id.shown,
            before={"status": incident.status},
            after=after,
            incident=incident.id,
        )


async def _had_runs(session: AsyncSession, incident: IncidentId) -> bool:
    return await executions.has_waited(session, incident) or await remediations.was_resumed(session, incident)


def _start(old: ConfigVersion, new: ConfigVersion, failed: str) -> str:
    if all(stage.name != failed for stage in new.spec.stages):
        return failed
    return first_changed(new.spec, before=old.spec.config, after=new.spec.config, failed=failed)


def _spent(version: ConfigVersion, start: str, acted: Collection[str]) -> str | None:
    """The first stage from `start` on that acts at most once and has acted; a version without `start` begins anew."""
    names = [stage.name for stage in version.spec.order]
    again = version.spec.order[names.index(start) if start in names else 0 :]
    return next((stage.name for stage in again if stage.effect is Effect.ONCE and stage.name in acted), None)


def _letter(run: Execution) -> dict[str, str]:
    return {"pipeline": run.pipeline.shown, "execution": run.id.shown}
