"""Replay a failed run from the stage that failed, because a person asked for it."""

from domain.actions.base import Situation, resume
from domain.evidence import Cause
from domain.plan import Reversibility, Risk, Step


class ReplayRun:
    name = "replay_run"
    risk = Risk.MEDIUM
    reversibility = Reversibility.REVERSIBLE
    heals: frozenset[Cause] = frozenset()
    blast_radius = 1

    def unfit(self, situation: Situation) -> str | None:
        return "a replay is only made when a person asks for it"

    def steps(self, situation: Situation) -> tuple[Step, ...]:
        return (resume(situation, index=0, from_stage=situation.failed_stage, version=situation.version),)

    def summary(self, situation: Situation) -> str:
        return f"replay {situation.run.name} from stage {situation.failed_stage} on version {situation.version}"
