"""Retry the failed stage: for causes that pass by themselves."""

from domain.actions.base import Situation, resume
from domain.evidence import Cause
from domain.plan import Reversibility, Risk, Step


class RetryStage:
    name = "retry_stage"
    risk = Risk.LOW
    reversibility = Reversibility.REVERSIBLE
    heals = frozenset({Cause.DEPENDENCY_DOWN, Cause.TIMEOUT, Cause.RESOURCE_BOTTLENECK})
    blast_radius = 1

    def unfit(self, situation: Situation) -> str | None:
        if situation.cause not in self.heals:
            return "a retry would see the same input and the same config, and fail the same way"
        if self.name in situation.tried:
            return "a retry for this incident was judged and did not help"
        return situation.repeats_once(situation.spec, start=situation.failed_stage)

    def steps(self, situation: Situation) -> tuple[Step, ...]:
        return (resume(situation, index=0, from_stage=situation.failed_stage, version=situation.version),)

    def summary(self, situation: Situation) -> str:
        return f"retry stage {situation.failed_stage} of {situation.run.name}"
