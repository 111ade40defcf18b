"""How many events are to be expected, learnt from how many came: counts that are more spread than chance alone makes them."""

import math
from typing import Self

from scipy.special import betainc

from domain.base import Value

_KEPT = 1 - 1 / 500
_SHAPE = 0.5
_DISPERSION, _TRIED = 1.0, 10.0
_SPREADS, _SOME = 4.0, 4.0


class Counts(Value):
    """What a `Rate` remembers: discounted sums of the events and the exposure, and of how far predictions missed."""

    events: float = 0.0
    exposure: float = 0.0
    missed: float = 0.0
    expected: float = 0.0


class Rate:
    """A Poisson whose rate is gamma distributed, so that the next count is negative binomial.

    The rate is that of the last 500 counts or so, each older one weighing less (power discounting: Harvey and Fernandes 1989,
    "Time series models for count or qualitative observations"), and drawn to `prior` as far as half an event weighs. Its
    dispersion is the moment estimator over the errors of the predictions (Breslow 1984, "Extra-Poisson variation in
    log-linear models"), drawn to 1. A count more than four standard deviations above its prediction is learnt as that many,
    or one burst would hide the next.
    """

    def __init__(self, *, prior: float) -> None:
        self._prior = _SHAPE / prior
        self._events = self._exposure = self._missed = self._expected = 0.0

    def chance(self, count: float, exposure: float = 1.0) -> float:
        """How likely `exposure` brings `count` events or more; the prior alone speaks while nothing is known."""
        if count <= 0:
            return 1.0
        mean, size = self._predicted(exposure)
        return float(betainc(count, size, mean / (mean + size)))

    def learn(self, count: float, exposure: float = 1.0) -> None:
        mean, size = self._predicted(exposure)
        variance = mean + mean * mean / size
        count = min(count, mean + _SPREADS * math.sqrt(variance) + _SOME)
        self._events = self._events * _KEPT + count
        self._exposure = self._exposure * _KEPT + exposure
        self._missed = self._missed * _KEPT + (count - mean) ** 2 - mean
        self._expected = self._expected * _KEPT + mean * mean

    def remembered(self) -> Counts:
        return Counts(events=self._events, exposure=self._exposure, missed=self._missed, expected=self._expected)

    @classmethod
    def restored(cls, counts: Counts, *, prior: float) -> Self:
        rate = cls(prior=prior)
        rate._events, rate._exposure = counts.events, counts.exposure
        rate._missed, rate._expected = counts.missed, counts.expected
        return rate

    def _predicted(self, exposure: float) -> tuple[float, float]:
        """The mean of the next count, and its size: the variance is mean + mean² / size."""
        shape = _SHAPE + self._events
        mean = exposure * shape / (self._prior + self._exposure)
        dispersion = max(0.0, (_DISPERSION * _TRIED + self._missed) / (_TRIED + self._expected))
        return mean, 1.0 / (1.0 / shape + dispersion)
