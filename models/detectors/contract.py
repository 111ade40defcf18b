"""The contract of every detector: it scores what has arrived, in order, and never the future.

A detector watches one series, or the metrics of one thing together. It is fed row by row; what it answers for a row
depends on that row and those before it, so scoring a history at once and scoring it as it came give the same numbers.
A missing value is a state of its own, never zero. Its memory is bounded and its state is plain numbers and text.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, Self

from pydantic import Field, JsonValue

from domain.base import Value


class Finding(Value):
    """How odd one row is, 0 to 1, and in a few words why; `metrics` are the ones to blame, the strongest first."""

    score: float = Field(ge=0, le=1)
    reasons: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


class Learner(Protocol):
    """What can be laid down and taken up again."""

    def state(self) -> dict[str, JsonValue]:
        """All that it has learnt, as JSON; of bounded size."""

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        """The detector that `state` was taken from: it scores the next row alike."""


class Detector(Learner, Protocol):
    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        """Score the next row, one value for each metric, and learn from it. `at` never goes back."""
