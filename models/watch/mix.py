"""What a service says of what, minute by minute: whether the mix of its log templates has shifted."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from domain.anomaly import Observation
from domain.watch import Learnt
from models.detectors.mixture import Mixture
from models.watch.metrics import MINUTE, TOLD
from models.watch.subjects import State, Subjects

MIXTURE = "mixture"
TEMPLATES = "log templates"
_WORDS = 200


class Mix:
    """Lines are counted by template; a minute in which none came says nothing."""

    def __init__(self) -> None:
        self._mixture = Subjects(MIXTURE, Mixture, most=1)
        self._minute: datetime | None = None
        self._lines: Counter[int] = Counter()

    def restore(self, state: State, at: datetime) -> None:
        """Go on from what was learnt before."""
        self._mixture.restore(state, at)

    def take(self, number: int, at: datetime, current: Callable[[int], str | None], *, count: int = 1) -> Observation | None:
        """`count` lines of that template; what is said of the minute that they end. `current` tells the text of a template."""
        minute = at.replace(second=0, microsecond=0)
        said = None
        if self._minute is None or minute > self._minute:
            said = self._turn(self._minute, current) if self._minute is not None else None
            self._minute, self._lines = minute, Counter()
        self._lines[number] += count
        return said

    def absorb(self, heir: int, numbers: tuple[int, ...]) -> None:
        """Templates have become one: they are counted as it."""
        for number in numbers:
            if number in self._lines:
                self._lines[heir] += self._lines.pop(number)
        for _, mixture in self._mixture.pairs():
            mixture.absorb(heir, numbers)

    def unkept(self) -> list[Learnt]:
        """What has been learnt since this was last asked."""
        return self._mixture.unkept()

    def _turn(self, minute: datetime, current: Callable[[int], str | None]) -> Observation | None:
        heard = self._mixture.heard(TEMPLATES, minute + MINUTE)
        if heard is None:
            return None
        mixture, at = heard
        found = mixture.observe(at, {number: float(count) for number, count in self._lines.items()})
        blamed = [
            {"number": int(number), "template": (current(int(number)) or "")[:_WORDS], "lines": self._lines[int(number)]}
            for number in found.metrics
        ]
        return Observation(
            detector=MIXTURE,
            subject=TEMPLATES,
            at=at,
            score=found.score,
            is_odd=found.score >= TOLD,
            reasons=found.reasons,
            evidence={"templates": blamed},
        )
