"""What every remedy answers: what it heals, when it is useless, and the exact steps it would take."""

from typing import Protocol

from domain.base import Value
from domain.evidence import Cause
from domain.pipeline import PipelineSpec
from domain.plan import Command, EffectClass, Reversibility, Risk, Step, Target

TOOL = "pipeline"


class Situation(Value):
    """What a remedy may build on: rows and records, never a log's text."""

    cause: Cause
    pipeline: Target
    run: Target
    failed_stage: str
    version: int
    known_good: int | None
    spec: PipelineSpec
    good_spec: PipelineSpec | None = None
    tried: frozenset[str] = frozenset()


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
