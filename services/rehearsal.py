"""Rehearse a resumption: really run the stages it would run, in dry-run, and see that nothing changed."""

from collections.abc import Callable, Mapping
from functools import partial
from uuid import uuid4

from domain.actor import SYSTEM
from domain.base import ExecutionId, OrgId, Value
from domain.errors import StoppedError
from domain.execution import Execution
from domain.pipeline import StageSpec
from domain.preflight import ChangedTarget, DryRun, Fidelity
from domain.stage import Effect, Outcome, ProbeAnswer, StageCommand, SupervisorHandle
from domain.versions import ConfigVersion
from services.guard import Guard
from services.ports import StageProcess
from services.secrets import Secrets
from services.stages import command_of, outputs_of, stage_scope
from storage import executions as store
from storage import pipelines
from storage.engine import Database

_SHOWN = 2_000


class _Tried(Value):
    """A stage that passed in dry-run, and whether its probe could tell that nothing changed."""

    outputs: str
    is_proved: bool


class Rehearsal:
    def __init__(self, database: Database, guard: Guard, secrets: Secrets, process: StageProcess) -> None:
        self._database = database
        self._guard = guard
        self._secrets = secrets
        self._process = process

    async def resume(
        self,
        org: OrgId,
        execution_id: ExecutionId,
        *,
        from_stage: str,
        until_stage: str,
        version: int,
        step: int,
        heartbeat: Callable[[], None],
    ) -> DryRun:
        """Run the stages from `from_stage` to `until_stage` under `version`; `none` where one allows no dry-run.

        Raises:
            ForbiddenError: code of this org may not run on this worker.
        """
        async with self._database.transaction(org) as session:
            await self._guard.check_may_run_code(session, org)
            execution = await store.get(session, execution_id)
            target = await pipelines.version(session, execution.pipeline, version)
            outputs = outputs_of(await store.attempts_without_output(session, execution_id))
        stages = _between(target, from_stage, until_stage, outputs)
        if silent := next((stage.name for stage in stages if not stage.dry_run), None):
            return DryRun(step=step, fidelity=Fidelity.NONE, passed=True, output=f"stage {silent} allows no dry-run")
        unproved = []
        for stage in stages:
            tried = await self._stage(execution, target, stage, outputs, heartbeat, step)
            if isinstance(tried, DryRun):
                return tried
            outputs |= {stage.name: tried.outputs}
            unproved += [] if tried.is_proved else [stage.name]
        names = ", ".join(stage.name for stage in stages)
        said = f"{names} passed on version {version} in dry-run"
        if unproved:
            said += f"; the probe of {', '.join(unproved)} could not say whether that changed anything"
        fidelity = Fidelity.NONE if unproved else Fidelity.SERVER
        return DryRun(step=step, fidelity=fidelity, passed=True, output=said)

    async def _stage(
        self,
        execution: Execution,
        version: ConfigVersion,
        stage: StageSpec,
        outputs: dict[str, str],
        heartbeat: Callable[[], None],
        step: int,
    ) -> _Tried | DryRun:
        """What the stage left, or the dry-run that ends here."""
        failed = partial(DryRun, step=step, fidelity=Fidelity.SERVER, passed=False)
        dry = execution.model_copy(update={"id": ExecutionId(int=uuid4().int)})
        command = command_of(dry, version, stage, outputs, dry_run=True)

        async def probe() -> ProbeAnswer | None:
            if stage.effect is not Effect.PROBE:
                return None
            return (await self._process.probe(command, secrets, heartbeat=heartbeat, started=_unrecorded)).answer

        try:
            await self._check_may_run(execution.org, version)
            secrets = await self._revealed(execution.org, version, command)
            before = await probe()
            result = await self._process.run(command, secrets, heartbeat=heartbeat, started=_unrecorded)
            after = await probe()
        except StoppedError as error:
            return failed(output=f"{stage.name} was not tried: {error}")
        if before is not after:
            said = f"the dry-run of {stage.name} changed its target: the probe said {before}, then {after}"
            return failed(output=said, changed=ChangedTarget(stage=stage.name, message=said))
        if result.outcome is not Outcome.PASSED:
            log = (result.tail or result.head)[-_SHOWN:]
            return failed(output=f"{stage.name} ended with {result.exit_code} in dry-run: {log}")
        return _Tried(outputs=result.outputs or "", is_proved=before is not ProbeAnswer.UNKNOWN)

    async def _check_may_run(self, org: OrgId, version: ConfigVersion) -> None:
        """Raises StoppedError: a switch stops the code of this pipeline, tried or not."""
        async with self._database.transaction(org) as session:
            await self._guard.check_may_act(session, org, stage_scope(version))

    async def _revealed(self, org: OrgId, version: ConfigVersion, command: StageCommand) -> Mapping[str, str]:
        if not command.secrets:
            return {}
        why = f"dry-run of {command.stage}"
        environment = version.spec.environment
        return await self._secrets.reveal_for_runner(org, environment, command.secrets, actor=SYSTEM, why=why)


def _between(version: ConfigVersion, first: str, last: str, outputs: Mapping[str, str]) -> tuple[StageSpec, ...]:
    """The stages from `first`, or from an earlier one that has left nothing yet, to `last`."""
    names = [stage.name for stage in version.spec.order]
    undone = next((at for at, name in enumerate(names) if name not in outputs), len(names))
    return version.spec.order[min(names.index(first), undone) : names.index(last) + 1]


async def _unrecorded(handle: SupervisorHandle) -> None:
    """A dry-run has no effect, so nobody takes it over and its supervisor need not be known."""
