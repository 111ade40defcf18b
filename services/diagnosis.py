"""Find out why a run failed: gather, rank, and store hypotheses that cite their evidence."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM
from domain.base import EvidenceId, HypothesisId, IncidentId, Instant, Value
from domain.canonical import digest
from domain.decision import DecisionRecord, DecisionType
from domain.evidence import Cause, Diagnosis, Evidence, EvidenceKind, Hypothesis
from domain.execution import Attempt, AttemptKind, Execution
from domain.identity import Caller
from domain.incident import Incident, Status
from domain.refs import IncidentRef
from domain.stage import Outcome
from domain.versions import ConfigVersion
from models.cause import Change, Clue, Ranked, Symptoms, named_in, rank
from services.decisions import Decisions
from services.ledger import Ledger
from services.stages import outputs_of
from storage import diagnoses as store
from storage import executions, incidents, pipelines
from storage.engine import Database, new_ids, now, repeatable

MODEL = "cause/1"
_SHOWN = 3
_NOT_CHECKED = ("metrics", "traces", "topology", "runbooks")
_KIND_OF = {
    Clue.CONFIG_CHANGED: EvidenceKind.CHANGE,
    Clue.CONFIG_SAME: EvidenceKind.CHANGE,
    Clue.RECENT_CHANGE: EvidenceKind.CHANGE,
    Clue.CODE_CHANGED: EvidenceKind.CHANGE,
    Clue.CONTROL_PASSED: EvidenceKind.HISTORY,
    Clue.CHANGE_NAMED_IN_LOG: EvidenceKind.LOG,
    Clue.UNAVAILABLE_IN_LOG: EvidenceKind.LOG,
    Clue.REFUSED_IN_LOG: EvidenceKind.LOG,
    Clue.SHAPE_IN_LOG: EvidenceKind.LOG,
    Clue.EXHAUSTED_IN_LOG: EvidenceKind.LOG,
    Clue.TIMED_OUT: EvidenceKind.EXECUTION,
    Clue.KILLED: EvidenceKind.EXECUTION,
}


class Gathered(Value):
    """Everything the diagnosis looks at, read in one pass."""

    execution: Execution
    failed: Attempt
    version: ConfigVersion
    control: Execution | None
    control_version: ConfigVersion | None
    since_change: timedelta | None
    changes: tuple[Change, ...] | None
    same_data: bool
    attempts: int

    @property
    def log(self) -> str:
        result = self.failed.result
        return f"{result.head}\n{result.tail}" if result else ""

    @property
    def symptoms(self) -> Symptoms:
        result = self.failed.result
        return Symptoms(
            log=self.log,
            timed_out=bool(result and result.timed_out),
            signal=result.signal if result else None,
            changes=self.changes,
            code_changed=self.control_version is not None and self.control_version.code != self.version.code,
            since_change=self.since_change,
            control_passed=self.control is not None,
        )


class Diagnostics:
    def __init__(self, database: Database, ledger: Ledger, decisions: Decisions) -> None:
        self._database = database
        self._ledger = ledger
        self._decisions = decisions

    @repeatable
    async def diagnose(self, ref: IncidentRef) -> Diagnosis:
        """The ranked hypotheses of the incident's latest failed run, stored with their evidence."""
        async with self._database.transaction(ref.org) as session:
            incident = await incidents.get_for_update(session, ref.id)
            waiting = await executions.waiting_on(session, ref.id)
            gathered = await _gather(session, waiting[0]) if waiting else None
            fresh = await new_ids(session, 1 + len(EvidenceKind) + _SHOWN)
            diagnosis = _explain(gathered, fresh[1:], await now(session))
            await store.add(session, ref.org, ref.id, fresh[0], diagnosis)
            top = diagnosis.top
            await incidents.move(session, incident, Status.DIAGNOSING, confidence=top.confidence if top else None)
            await self._record(session, incident, diagnosis, gathered)
            return diagnosis

    async def evidence(self, caller: Caller, incident: IncidentId, *, limit: int) -> list[Evidence]:
        async with self._database.transaction(caller.org) as session:
            await incidents.get(session, incident)
            return await store.evidence(session, incident, limit=limit)

    async def hypotheses(self, caller: Caller, incident: IncidentId) -> list[Hypothesis]:
        async with self._database.transaction(caller.org) as session:
            await incidents.get(session, incident)
            return await store.hypotheses(session, incident)

    async def _record(self, session: AsyncSession, incident: Incident, diagnosis: Diagnosis, gathered: Gathered | None) -> None:
        top = diagnosis.top
        record = DecisionRecord(
            incident=incident.id,
            execution=gathered.execution.id if gathered else None,
            type=DecisionType.DIAGNOSIS,
            model=MODEL,
            inputs_hash=digest(gathered.symptoms if gathered else {}),
            confidence=top.confidence if top else None,
            decision=top.cause if top else "unresolved",
            reason_codes=tuple(each.cause for each in diagnosis.hypotheses),
            explanation=top.statement if top else "no run waits for this incident, so there is nothing to explain",
        )
        await self._decisions.record(session, incident.org, record)
        await self._ledger.append(
            session,
            incident.org,
            "incident.diagnosed",
            actor=SYSTEM,
            resource_type="incident",
            resource_id=incident.id.shown,
            after={"cause": record.decision, "statement": record.explanation},
            incident=incident.id,
        )


def _explain(gathered: Gathered | None, fresh: Sequence[UUID], at: Instant) -> Diagnosis:
    """The likeliest causes, under ids of `fresh`: one for each piece of evidence and each hypothesis."""
    if gathered is None:
        return Diagnosis(hypotheses=(), evidence=(), not_checked=("execution", *_NOT_CHECKED), at=at)
    ids = iter(fresh)
    pieces = {kind: _piece(EvidenceId.of(next(ids)), kind, gathered) for kind in _sources(gathered)}
    ranked = rank(gathered.symptoms)
    hypotheses = [_hypothesis(HypothesisId.of(next(ids)), each, ranked[0], gathered, pieces) for each in ranked[:_SHOWN]]
    missing = () if gathered.control else ("history: no earlier run has passed",)
    return Diagnosis(
        hypotheses=tuple(hypotheses), evidence=tuple(pieces.values()), not_checked=(*missing, *_NOT_CHECKED), at=at
    )


async def _gather(session: AsyncSession, execution: Execution) -> Gathered | None:
    """Everything about the run's failed stage, or None when nobody ever tried it."""
    attempts = await executions.attempts(session, execution.id, execution.failed_stage)
    tried = [each for each in attempts if each.kind is not AttemptKind.DRY_RUN]
    if not tried:
        return None
    failed = tried[-1]
    version = await pipelines.version(session, execution.pipeline, execution.config_version)
    control = await executions.last_succeeded(session, execution.pipeline, before=execution.id)
    known_good = await pipelines.version(session, execution.pipeline, control.config_version) if control else None
    since = None
    if version.created_at is not None and failed.created_at is not None:
        since = failed.created_at - version.created_at
    return Gathered(
        execution=execution,
        failed=failed,
        version=version,
        control=control,
        control_version=known_good,
        since_change=since,
        changes=_changes(known_good, version),
        same_data=control is not None and await _same_data(session, version, execution, control, failed.stage),
        attempts=len(attempts),
    )


async def _same_data(session: AsyncSession, version: ConfigVersion, run: Execution, control: Execution, stage: str) -> bool:
    """Whether the stages that `stage` stands on left, byte for byte, what they left in the run that passed."""
    needed = next((each.needs for each in version.spec.stages if each.name == stage), ())
    here, there = [outputs_of(await executions.attempts_without_output(session, each.id)) for each in (run, control)]
    return bool(needed) and all(name in here and here[name] == there.get(name) for name in needed)


def _changes(before: ConfigVersion | None, after: ConfigVersion) -> tuple[Change, ...] | None:
    """The keys that any stage uses and that differ from the last version that passed."""
    if before is None:
        return None
    used = {key for stage in (*before.spec.stages, *after.spec.stages) for key in stage.uses}
    old, new = before.spec.config, after.spec.config
    return tuple(
        Change(key=key, before=_text(old.get(key)), after=_text(new.get(key)))
        for key in sorted(used)
        if old.get(key) != new.get(key)
    )


def _text(value: JsonValue) -> str | None:
    return None if value is None else str(value)[:200]


def _sources(gathered: Gathered) -> tuple[EvidenceKind, ...]:
    sources = [EvidenceKind.EXECUTION]
    if gathered.log.strip():
        sources.append(EvidenceKind.LOG)
    if gathered.control is not None:
        sources += [EvidenceKind.CHANGE, EvidenceKind.HISTORY]
    return tuple(sources)


def _piece(fresh: EvidenceId, kind: EvidenceKind, gathered: Gathered) -> Evidence:
    ref, excerpt = _told(kind, gathered)
    return Evidence(id=fresh, kind=kind, ref=ref, excerpt=excerpt[:2_000], score=1.0)


def _told(kind: EvidenceKind, gathered: Gathered) -> tuple[dict[str, JsonValue], str]:
    run, failed = gathered.execution, gathered.failed
    stage: dict[str, JsonValue] = {"execution": run.id.shown, "stage": failed.stage, "attempt": failed.number}
    match kind:
        case EvidenceKind.EXECUTION:
            return stage, _execution_told(failed)
        case EvidenceKind.LOG:
            return stage, _telling_lines(gathered)
        case EvidenceKind.CHANGE:
            versions: dict[str, JsonValue] = {"from": _number(gathered.control_version), "to": gathered.version.version}
            return {"pipeline": run.pipeline.shown, **versions}, _change_told(gathered)
        case EvidenceKind.HISTORY:
            control = gathered.control.id.shown if gathered.control else ""
            version = _number(gathered.control_version)
            on = " on the same data" if gathered.same_data else ""
            return {"execution": control}, f"run {control} of the same pipeline passed every stage on version {version}{on}"


def _execution_told(failed: Attempt) -> str:
    result = failed.result
    if result is None:
        return f"stage {failed.stage}, attempt {failed.number}: ended as {failed.status} without a result"
    ending = "timed out" if result.timed_out else f"exit code {result.exit_code}, signal {result.signal}"
    return f"stage {failed.stage}, attempt {failed.number}: {ending}, {result.wall.total_seconds():.2f} s"


def _telling_lines(gathered: Gathered) -> str:
    """The last lines of the log, and before them those that name a change."""
    lines = [line for line in gathered.log.splitlines() if line.strip()]
    named = [line for line in lines if named_in(line, gathered.changes or ())]
    return "\n".join(dict.fromkeys([*named[:5], *lines[-10:]]))


def _change_told(gathered: Gathered) -> str:
    if not gathered.changes:
        code = "the code differs" if gathered.symptoms.code_changed else "nothing that a stage uses differs"
        return f"{code} between version {_number(gathered.control_version)} and version {gathered.version.version}"
    told = ", ".join(f"{each.key}: {each.before} -> {each.after}" for each in gathered.changes)
    return f"version {gathered.version.version} changed {told}, {_seconds(gathered)} s before the failure"


def _seconds(gathered: Gathered) -> float:
    """Measured from the version's row to the attempt's."""
    return round(gathered.since_change.total_seconds(), 1) if gathered.since_change is not None else 0.0


def _number(version: ConfigVersion | None) -> int:
    return version.version if version else 0


def _hypothesis(
    fresh: HypothesisId, ranked: Ranked, top: Ranked, gathered: Gathered, pieces: dict[EvidenceKind, Evidence]
) -> Hypothesis:
    kinds = dict.fromkeys([EvidenceKind.EXECUTION, *(_KIND_OF[clue] for clue in ranked.clues)])
    against = [_KIND_OF[clue] for clue in ranked.against]
    support = tuple(pieces[kind].id for kind in kinds if kind in pieces and kind is not EvidenceKind.HISTORY)
    counter = [pieces[kind].id for kind in dict.fromkeys(against) if kind in pieces and pieces[kind].id not in support]
    if Clue.CONTROL_PASSED in ranked.clues and EvidenceKind.HISTORY in pieces:
        counter.append(pieces[EvidenceKind.HISTORY].id)
    return Hypothesis(
        id=fresh,
        cause=ranked.cause,
        statement=_statement(ranked.cause, gathered),
        confidence=round(ranked.confidence, 4),
        support=support,
        counter=tuple(counter),
        why_not=None if ranked is top else _why_not(ranked, top),
        facts=_facts(gathered),
    )


def _statement(cause: Cause, gathered: Gathered) -> str:
    stage, run = gathered.failed.stage, gathered.execution.id.shown
    match cause:
        case Cause.CONFIGURATION_DRIFT:
            keys = ", ".join(each.key for each in gathered.changes or ()) or "none"
            version = gathered.version.version
            return f"configuration drift in v{version}, key {keys}, changed {_seconds(gathered)} s before stage {stage} failed"
        case Cause.DEPENDENCY_DOWN:
            return f"stage {stage} reached something that did not answer as it should"
        case Cause.CODE_CHANGE:
            return f"the code of version {gathered.version.version} differs from the last that passed"
        case Cause.TIMEOUT:
            return f"stage {stage} took longer than it may"
        case Cause.CONNECTION_OR_AUTH:
            return f"stage {stage} was refused by something it needs"
        case Cause.RESOURCE_BOTTLENECK:
            return f"stage {stage} ran out of a resource"
        case Cause.SCHEMA_OR_DATA:
            return f"stage {stage} met data of a shape it does not expect"
        case Cause.FAILING_STAGE:
            return f"stage {stage} of {run} fails for a reason nobody found"


def _why_not(ranked: Ranked, top: Ranked) -> str:
    if ranked.against:
        return f"spoken against by {', '.join(ranked.against)}"
    missing = sorted(set(top.clues) - set(ranked.clues))
    return f"does not explain {', '.join(missing)}" if missing else "no clue speaks for it"


def _facts(gathered: Gathered) -> dict[str, JsonValue]:
    """What a plan may build on: ids and versions from rows."""
    return {
        "execution": gathered.execution.id.shown,
        "pipeline": gathered.execution.pipeline.shown,
        "failed_stage": gathered.failed.stage,
        "version": gathered.version.version,
        "known_good": gathered.control_version.version if gathered.control_version else None,
        "changed_keys": [each.key for each in gathered.changes or ()],
        "started": gathered.failed.result is not None and gathered.failed.result.outcome is not Outcome.PASSED,
    }
