"""Roll a pipeline's config back to the last version that passed."""

from domain.actions.base import TOOL, Situation, resume
from domain.evidence import Cause
from domain.pipeline import PipelineSpec, first_changed
from domain.plan import Command, EffectClass, Reversibility, Risk, Step


class RollbackConfig:
    name = "rollback_config"
    risk = Risk.MEDIUM
    reversibility = Reversibility.REVERSIBLE
    heals = frozenset({Cause.CONFIGURATION_DRIFT, Cause.CODE_CHANGE})
    blast_radius = 1

    def unfit(self, situation: Situation) -> str | None:
        if situation.cause not in self.heals:
            return "nothing that the stage uses has changed since it last passed, so there is nothing to roll back"
        if situation.known_good is None or situation.good_spec is None:
            return "no earlier version is known to have passed"
        if situation.known_good == situation.version:
            return "the run already uses the last version that passed"
        if self.name in situation.tried:
            return "a rollback for this incident was judged and did not help"
        if all(stage.name != situation.failed_stage for stage in situation.good_spec.stages):
            return f"version {situation.known_good} has no stage {situation.failed_stage} that could show that it helps"
        return situation.repeats_once(situation.good_spec, start=self._start(situation, situation.good_spec))

    def steps(self, situation: Situation) -> tuple[Step, ...]:
        good, good_spec = situation.known_good, situation.good_spec
        if good is None or good_spec is None:
            raise AssertionError("steps are asked for only where `unfit` has nothing to say")
        start = self._start(situation, good_spec)
        restore = Step(
            index=0,
            summary=f"set {situation.pipeline.name} back to version {good}",
            target=situation.pipeline,
            do=_restore(situation, good),
            undo=_restore(situation, situation.current),
            effect=EffectClass.KEYED,
        )
        return (restore, resume(situation, index=1, from_stage=start, version=good))

    def _start(self, situation: Situation, good: PipelineSpec) -> str:
        return first_changed(good, before=situation.spec.config, after=good.config, failed=situation.failed_stage)

    def summary(self, situation: Situation) -> str:
        return f"roll {situation.pipeline.name} back from version {situation.version} to version {situation.known_good}"


def _restore(situation: Situation, version: int) -> Command:
    return Command(tool=TOOL, argv=("restore-config", situation.pipeline.id, str(version)))
