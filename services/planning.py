"""Choose the safest fix that could help, say what was left out and why, and freeze it."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.actions.base import Action, Situation
from domain.actor import SYSTEM, Actor
from domain.base import IncidentId, OrgId, PlanId, PrincipalId, Value
from domain.canonical import digest
from domain.decision import DecisionRecord, DecisionType
from domain.errors import ConflictError, InvalidError, StalePlanError
from domain.evidence import Cause, Hypothesis
from domain.execution import Execution
from domain.identity import Caller
from domain.incident import ENDED, Incident, Status
from domain.plan import CLOSED, Excluded, FixPlan, Mode, PlanState, PlanStatus, Step, check_readable
from domain.preflight import Preflight
from domain.refs import IncidentRef, PlanRef
from services.decisions import Decisions
from services.ledger import Ledger
from services.ports import Policy
from services.targets import moved_reason, pipeline_target, run_target
from storage import diagnoses, executions, incidents, outbox, pipelines, plans, remediations
from storage import identity as identities
from storage.engine import Database, new_id, repeatable
from storage.outbox import Letter

PLANNER = "planner/1"
_KNOWN_ENOUGH = 0.5


class PlanView(Value):
    """A plan as people read it: the frozen content, where it stands, and its preflight."""

    state: PlanState
    preflight: Preflight | None


class Planning:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        decisions: Decisions,
        policy: Policy,
        catalog: Sequence[Action],
        *,
        runner: str,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._decisions = decisions
        self._policy = policy
        self._catalog = catalog
        self._runner = runner

    @repeatable
    async def heal(self, ref: IncidentRef, *, carrier: str, supersedes: PlanId | None = None) -> PlanState | None:
        """The plan for the incident's likeliest cause, or None: a person has to look, or another workflow carries a plan."""
        revision = await self._policy.revision()
        async with self._database.transaction(ref.org) as session:
            if supersedes is not None:
                await plans.get_for_update(session, supersedes)
            incident = await incidents.get_for_update(session, ref.id)
            if incident.status in ENDED:
                return None
            if (made := await _already_made(session, incident, carrier, supersedes)) is not None:
                return made
            if await plans.carried_elsewhere(session, ref.id, carrier=carrier):
                return None
            if supersedes is not None:
                await plans.set_status(session, supersedes, PlanStatus.SUPERSEDED)
            plan = await self._choose(session, incident, revision, mode=Mode.AUTO, by=None, supersedes=supersedes)
            if plan is None:
                await incidents.move(session, incident, Status.NEEDS_HUMAN)
                return None
            await incidents.move(session, incident, Status.PLANNING)
            return await self._freeze(session, plan, carrier=carrier, actor=SYSTEM)

    @repeatable
    async def propose(self, caller: Caller, incident_id: IncidentId, mode: Mode, strategy: str | None) -> PlanState:
        """A plan because a person asked for one; the engine carries it from here.

        Raises:
            NotFoundError: no such incident.
            ConflictError: the incident has ended, is being healed, or nothing in the catalogue fits.
        """
        revision = await self._policy.revision()
        async with self._database.transaction(caller.org) as session:
            incident = await incidents.get_for_update(session, incident_id)
            if incident.ended_at is not None:
                raise ConflictError(f"the incident has ended as {incident.status}")
            if (open_plan := await self._open_plan(session, incident)) is not None:
                return open_plan
            plan = await self._choose(session, incident, revision, mode=mode, by=caller.id, strategy=strategy)
            if plan is None:
                raise ConflictError("nothing in the catalogue fits this incident; its decisions say why")
            state = await self._freeze(session, plan, carrier=f"plan/{plan.org}/{plan.id}", actor=Actor.calling(caller))
            await outbox.add(session, caller.org, Letter.CARRY_PLAN, {"plan": plan.id.shown, "carrier": state.carrier})
            return state

    @repeatable
    async def again(self, ref: PlanRef) -> PlanState | None:
        """The plan that takes the place of a stale one a person had asked for, or None when nothing fits any more."""
        revision = await self._policy.revision()
        async with self._database.transaction(ref.org) as session:
            stale = await plans.get_for_update(session, ref.id)
            old = stale.plan
            incident = await incidents.get_for_update(session, old.incident)
            if incident.ended_at is not None:
                return None
            if (made := await _already_made(session, incident, stale.carrier, ref.id)) is not None:
                return made
            await plans.set_status(session, ref.id, PlanStatus.SUPERSEDED)
            plan = await self._choose(
                session, incident, revision, mode=old.mode, by=old.requested_by, strategy=old.action, supersedes=ref.id
            )
            return await self._freeze(session, plan, carrier=stale.carrier, actor=SYSTEM) if plan else None

    async def replay(self, session: AsyncSession, execution: Execution, by: Caller, *, carrier: str) -> PlanState:
        """A plan of one step that replays a failed run, for `services.recovery`.

        Raises:
            InvalidError: the run did not fail in a stage.
        """
        if execution.incident is None or execution.failed_stage is None:
            raise InvalidError("only a run that failed in a stage can be replayed", pointer="/execution_id")
        incident = await incidents.get(session, execution.incident)
        situation = await self._situation(session, execution, None)
        action = next(each for each in self._catalog if each.name == "replay_run")
        revision = await self._policy.revision()
        authors = await _authors(session, execution, situation)
        plan = await self._render(session, incident, situation, action, revision, Mode.AUTO, by.id, 1.0, (), None, authors)
        await self._record(session, incident, plan, (), f"{by.id.shown} asked to replay {execution.id.shown}", situation)
        return await self._freeze(session, plan, carrier=carrier, actor=Actor.calling(by))

    async def view(self, caller: Caller, plan: PlanId) -> PlanView:
        async with self._database.transaction(caller.org) as session:
            state = await plans.get(session, plan)
            return PlanView(state=state, preflight=await plans.latest_preflight(session, plan))

    async def look(self, ref: PlanRef) -> PlanState:
        async with self._database.transaction(ref.org) as session:
            return await plans.get(session, ref.id)

    async def of_incident(self, caller: Caller, incident: IncidentId) -> list[PlanState]:
        async with self._database.transaction(caller.org) as session:
            await incidents.get(session, incident)
            return await plans.of_incident(session, incident, limit=50)

    async def superseder(self, org: OrgId, plan: PlanId) -> PlanId | None:
        async with self._database.transaction(org) as session:
            return await plans.superseder(session, plan)

    async def preflighted(self, caller: Caller, plan: PlanId) -> PlanView:
        """The plan with its latest preflight, if there is one yet.

        Raises:
            NotFoundError: no such plan.
            StalePlanError: names the plan that took its place, or what is no longer as the plan was made for.
        """
        view = await self.view(caller, plan)
        if view.state.status is PlanStatus.SUPERSEDED:
            newer = await self.superseder(caller.org, plan)
            raise StalePlanError(f"the plan is stale; the new one is {newer.shown if newer else 'being made'}")
        if view.state.status not in CLOSED and view.state.status is not PlanStatus.EXECUTING:
            revision = await self._policy.revision()
            async with self._database.transaction(caller.org) as session:
                moved = await moved_reason(session, view.state.plan, revision)
            if moved is not None:
                raise StalePlanError(f"the plan is stale: {moved}; reject it, and the next run or request gets a new one")
        return view

    async def _open_plan(self, session: AsyncSession, incident: Incident) -> PlanState | None:
        latest = await plans.of_incident(session, incident.id, limit=1)
        return latest[0] if latest and latest[0].status not in CLOSED else None

    async def _choose(
        self,
        session: AsyncSession,
        incident: Incident,
        revision: str,
        *,
        mode: Mode,
        by: PrincipalId | None,
        strategy: str | None = None,
        supersedes: PlanId | None = None,
    ) -> FixPlan | None:
        waiting = await executions.waiting_on(session, incident.id)
        hypotheses = await diagnoses.hypotheses(session, incident.id)
        if not waiting or not hypotheses or hypotheses[0].confidence < _KNOWN_ENOUGH:
            seen = {"waiting": len(waiting), "hypotheses": [each.id.shown for each in hypotheses]}
            await self._record(session, incident, None, (), "no run waits, or no cause is likely enough to act on", seen)
            return None
        situation = await self._situation(
            session, waiting[0], hypotheses[0], tried=await remediations.ineffective(session, incident.id)
        )
        verdicts = [(action, action.unfit(situation)) for action in self._catalog if strategy in {None, action.name}]
        excluded = tuple(Excluded(action=action.name, reason=reason) for action, reason in verdicts if reason)
        fitting = next((action for action, reason in verdicts if reason is None), None)
        if fitting is None:
            why = "nothing in the catalogue fits: a person has to look"
            await self._record(session, incident, None, excluded, why, situation)
            return None
        authors = await _authors(session, waiting[0], situation)
        confidence = hypotheses[0].confidence
        plan = await self._render(
            session, incident, situation, fitting, revision, mode, by, confidence, excluded, supersedes, authors
        )
        await self._record(session, incident, plan, excluded, plan.why, situation)
        return plan

    async def _situation(
        self, session: AsyncSession, run: Execution, hypothesis: Hypothesis | None, *, tried: frozenset[str] = frozenset()
    ) -> Situation:
        pipeline = await pipelines.get(session, run.pipeline)
        version = await pipelines.version(session, run.pipeline, run.config_version)
        control = await executions.last_succeeded(session, run.pipeline, before=run.id)
        good = await pipelines.version(session, run.pipeline, control.config_version) if control else None
        return Situation(
            cause=hypothesis.cause if hypothesis else Cause.FAILING_STAGE,
            pipeline=await pipeline_target(session, pipeline),
            run=await run_target(session, run),
            failed_stage=run.failed_stage or "",
            version=run.config_version,
            current=pipeline.version,
            known_good=control.config_version if control else None,
            spec=version.spec,
            good_spec=good.spec if good else None,
            tried=tried,
        )

    async def _render(  # noqa: PLR0913 - a plan is made of all of these
        self,
        session: AsyncSession,
        incident: Incident,
        situation: Situation,
        action: Action,
        revision: str,
        mode: Mode,
        by: PrincipalId | None,
        confidence: float,
        excluded: tuple[Excluded, ...],
        supersedes: PlanId | None,
        authors: tuple[PrincipalId, ...],
    ) -> FixPlan:
        environment = await identities.environment(session, incident.environment)
        return FixPlan(
            id=PlanId.of(await new_id(session)),
            org=incident.org,
            incident=incident.id,
            environment=incident.environment,
            is_production=environment.is_production,
            action=action.name,
            summary=action.summary(situation),
            why=_why(action, situation, excluded),
            risk=action.risk,
            reversibility=action.reversibility,
            confidence=confidence,
            mode=mode,
            steps=_steps(action, situation),
            runner="pipeline",
            runner_version=self._runner,
            policy_revision=revision,
            excluded=excluded,
            authors=authors,
            requested_by=by,
            supersedes=supersedes,
        )

    async def _freeze(self, session: AsyncSession, plan: FixPlan, *, carrier: str, actor: Actor) -> PlanState:
        check_readable(plan)
        await plans.add(session, plan, carrier=carrier)
        await self._ledger.append(
            session,
            plan.org,
            "plan.made",
            actor=actor,
            resource_type="plan",
            resource_id=plan.id.shown,
            after={"digest": plan.digest, "action": plan.action, "summary": plan.summary, "why": plan.why},
            incident=plan.incident,
        )
        return await plans.get(session, plan.id)

    async def _record(
        self,
        session: AsyncSession,
        incident: Incident,
        plan: FixPlan | None,
        excluded: tuple[Excluded, ...],
        why: str,
        seen: Situation | Mapping[str, object],
    ) -> None:
        """What the planner decided, and the digest of what it has `seen`."""
        record = DecisionRecord(
            incident=incident.id,
            plan=plan.id if plan else None,
            type=DecisionType.PLAN,
            model=PLANNER,
            inputs_hash=digest(seen),
            confidence=plan.confidence if plan else None,
            threshold=_KNOWN_ENOUGH,
            decision=plan.action if plan else "escalate",
            reason_codes=tuple(f"excluded:{each.action}" for each in excluded),
            explanation=why,
            details={"excluded": [each.model_dump(mode="json") for each in excluded]},
        )
        await self._decisions.record(session, incident.org, record)


async def _already_made(session: AsyncSession, incident: Incident, carrier: str, supersedes: PlanId | None) -> PlanState | None:
    """The plan that this very wish has made, when its answer was lost on the way."""
    latest = await plans.of_incident(session, incident.id, limit=1)
    if not latest or latest[0].status is not PlanStatus.DRAFT or latest[0].carrier != carrier:
        return None
    return latest[0] if latest[0].plan.supersedes == supersedes else None


def _steps(action: Action, situation: Situation) -> tuple[Step, ...]:
    """Raises InvalidError: the action renders a command that no runner may be given."""
    try:
        return action.steps(situation)
    except ValidationError as error:
        raise InvalidError(f"{action.name} renders an argument that is too long, empty or holds a hidden character") from error


def _why(action: Action, situation: Situation, excluded: tuple[Excluded, ...]) -> str:
    left_out = "; ".join(f"{each.action} is left out: {each.reason}" for each in excluded)
    return f"{action.name} is the least risky action that heals {situation.cause}" + (f"; {left_out}" if left_out else "")


async def _authors(session: AsyncSession, run: Execution, situation: Situation) -> tuple[PrincipalId, ...]:
    """Who wrote the versions the plan moves between, what is current included, and who started a run that waits for it."""
    numbers = {situation.version, situation.current, situation.known_good or situation.version}
    versions = [await pipelines.version(session, run.pipeline, number) for number in sorted(numbers)]
    starters = [run.started_by]
    if run.incident is not None:
        starters += [each.started_by for each in await executions.waiting_on(session, run.incident)]
    return tuple(sorted({*(each.author for each in versions), *starters}))
