"""What every remedy answers: what it heals, when it is useless, and the exact steps it would take."""

from typing import Protocol

from domain.base import Value
from domain.evidence import Cause
from domain.pipeline import PipelineSpec
from domain.plan import Command, EffectClass, Reversibility, Risk, Step, Target
from domain.stage import Effect

TOOL = "pipeline"


class Situation(Value):
    """What a remedy may build on: rows and records, never a log's text. The run used `version`; `current` is set now."""

    cause: Cause
    pipeline: Target
    run: Target
    failed_stage: str
    version: int
    current: int
    known_good: int | None
    spec: PipelineSpec
    good_spec: PipelineSpec | None = None
    tried: frozenset[str] = frozenset()

    def repeats_once(self, spec: PipelineSpec, *, start: str) -> str | None:
        """Why the stages from `start` to the failed one may not be run again, or None: one of them acts at most once."""
        names = [stage.name for stage in spec.order]
        again = spec.order[names.index(start) : names.index(self.failed_stage) + 1]
        once = next((stage.name for stage in again if stage.effect is Effect.ONCE), None)
        return f"stage {once} can be neither repeated nor asked what it did, so a person has to decide" if once else None


class Action(Protocol):
    name: str
    risk: Risk
    reversibility: Reversibility
    heals: frozenset[Cause]
    blast_radius: int

    def unfit(self, situation: Situation) -> str | None:
        """Why this remedy is useless here, or None if it fits."""

    def steps(self, situation: Situation) -> tuple[Step, ...]:
        """The steps in order; the last one resumes the waiting run."""

    def summary(self, situation: Situation) -> str: ...


def resume(situation: Situation, *, index: int, from_stage: str, version: int) -> Step:
    """The last step of every plan: one waiting run goes on, and its failed stage is the evidence."""
    argv = ("resume-run", situation.run.id, from_stage, situation.failed_stage, str(version))
    return Step(
        index=index,
        summary=f"resume {situation.run.name} at {from_stage} on version {version}",
        target=situation.run,
        do=Command(tool=TOOL, argv=argv),
        undo=None,
        effect=EffectClass.KEYED,
    )
