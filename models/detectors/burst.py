"""Bursts of errors: more in an interval than its own recent history makes likely."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from pydantic import JsonValue

from domain.base import Value
from models.detectors.contract import Finding
from models.detectors.rate import Counts, Rate
from models.detectors.recent import Recent
from models.detectors.scores import amount, lasting, rarity, shown

_KEPT, _OFTEN = 1_000, 5
_USUAL = 1 - _OFTEN / _KEPT
_LEAST = 5
_PER_INTERVAL, _PER_TRY = 0.5, 0.05
_TELLING = 0.5


class _State(Value):
    every: timedelta
    by_time: Counts
    by_total: Counts
    counts: tuple[float, ...]
    shares: tuple[float, ...]


class Burst:
    """Scores how unlikely so many errors are: `(errors,)` or `(errors, tries)` of each interval of `every`.

    With five totals known the errors are judged by the tries they came of, else by the interval alone. What is odd is so in its
    first interval, even when that is the first of all. Fewer than five errors are no burst, nor are as many as five of the last
    thousand intervals held. A negative count is missing.
    """

    def __init__(self, every: timedelta = timedelta(seconds=10)) -> None:
        self._every = every
        self._by_time, self._by_total = Rate(prior=_PER_INTERVAL), Rate(prior=_PER_TRY)
        self._counts, self._shares = Recent(_KEPT), Recent(_KEPT)

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        finding = self.so_far(row)
        errors, tries = _read(row)
        if errors is not None:
            self._by_time.learn(errors)
            self._counts.add(errors)
        if errors is not None and tries:
            self._by_total.learn(errors, tries)
            self._shares.add(errors / tries)
        return finding

    def so_far(self, row: Sequence[float | None]) -> Finding:
        """Score an interval that is not over yet, without learning from it."""
        errors, tries = _read(row)
        if errors is None or errors < _LEAST:
            return Finding(score=0)
        if tries and len(self._shares) >= _OFTEN:
            return self._of_tries(errors, tries)
        return self._of_time(errors)

    def state(self) -> dict[str, JsonValue]:
        state = _State(
            every=self._every,
            by_time=self._by_time.remembered(),
            by_total=self._by_total.remembered(),
            counts=self._counts.numbers(),
            shares=self._shares.numbers(),
        )
        return state.model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls(known.every)
        detector._by_time = Rate.restored(known.by_time, prior=_PER_INTERVAL)
        detector._by_total = Rate.restored(known.by_total, prior=_PER_TRY)
        detector._counts, detector._shares = Recent(_KEPT, known.counts), Recent(_KEPT, known.shares)
        return detector

    def _of_time(self, errors: float) -> Finding:
        score = 0.0 if _is_usual(errors, self._counts) else rarity(self._by_time.chance(errors))
        if score < _TELLING:
            return Finding(score=score)
        told = f"{shown(errors)} errors in {lasting(self._every.total_seconds())}"
        if not self._counts:
            return Finding(score=score, reasons=(f"{told}, the first that is known",))
        return Finding(score=score, reasons=(f"{told}, usually at most {shown(self._counts.quantile(_USUAL))}",))

    def _of_tries(self, errors: float, tries: float) -> Finding:
        share = errors / tries
        score = 0.0 if _is_usual(share, self._shares) else rarity(self._by_total.chance(errors, tries))
        if score < _TELLING:
            return Finding(score=score)
        told = f"{shown(errors)} of {shown(tries)} failed in {lasting(self._every.total_seconds())}"
        usual = shown(100 * self._shares.quantile(_USUAL))
        return Finding(score=score, reasons=(f"{told}: {shown(100 * share)} %, usually at most {usual} %",))


def _read(row: Sequence[float | None]) -> tuple[float | None, float | None]:
    """The errors and the tries; more errors than tries are as many tries."""
    if not 1 <= len(row) <= 2:
        raise ValueError(f"expected the errors, or the errors and the tries, got {len(row)} values")
    errors, tries = amount(row[0]), amount(row[1]) if len(row) == 2 else None
    return errors, None if errors is None or tries is None else max(errors, tries)


def _is_usual(size: float, sizes: Recent) -> bool:
    """Have five of the last thousand been as large?"""
    return len(sizes) >= _OFTEN and size <= sizes.quantile(1 - _OFTEN / len(sizes))
