"""Sequences of event ids that are unlike those learnt from: by a step seldom taken, or by how often an event came.

Two things are looked up, each by how many of the sessions learnt from had the like: the rarest step from one event to the next
(the start and the end are steps too), and the rarest number of times that an event came. Their surprises are added. A score of
0.5 is just above the 99 % quantile of what the sessions learnt from score.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
from pydantic import JsonValue

from models.detectors.contract import Finding

ALARM = 0.5
QUANTILE = 0.99
MOST_KEPT = 5_000
MOST_TIMES = 1_000
_OUTSIDE = ""
_JUST_ABOVE = 1 + 1e-9

Step = tuple[str, str]
Times = tuple[str, int]


@dataclass(frozen=True)
class _Learnt:
    """In how many of `sessions` each step was taken, and each event came so many times."""

    sessions: int
    steps: dict[Step, int]
    times: dict[Times, int]
    odd: float = 1.0

    def surprise(self, seen: int) -> float:
        return -math.log((seen + 1) / (self.sessions + 2))


class Sessions:
    """A detector of odd sessions, after `fit` on sessions that are mostly normal."""

    def __init__(self, learnt: _Learnt) -> None:
        self._learnt = learnt
        came: Counter[str] = Counter()
        for (event, _), seen in learnt.times.items():
            came[event] += seen
        self._without = {event: learnt.sessions - seen for event, seen in came.most_common()}

    @classmethod
    def fit(cls, sessions: Iterable[Sequence[str]]) -> Self:
        """Learn from `sessions`, in any order.

        Raises:
            ValueError: there is no session.
        """
        known = Counter(tuple(session) for session in sessions)
        if not known:
            raise ValueError("expected at least one session to learn from")
        steps: Counter[Step] = Counter()
        times: Counter[Times] = Counter()
        for session, often in known.items():
            steps.update(dict.fromkeys(_steps(session), often))
            times.update(dict.fromkeys(_times(session), often))
        learnt = _Learnt(known.total(), dict(steps.most_common(MOST_KEPT)), dict(times.most_common(MOST_KEPT)))
        detector = cls(learnt)
        odd = np.repeat([detector._odd(session)[0] for session in known], list(known.values()))
        return cls(replace(learnt, odd=float(np.quantile(odd, QUANTILE)) * _JUST_ABOVE))

    def score(self, session: Sequence[str]) -> Finding:
        """How odd `session` is; the events to blame are those of its rarest step and its rarest number."""
        odd, step, times = self._odd(session)
        score = odd / (odd + self._learnt.odd)
        blamed = dict.fromkeys(event for event in (*(times or ())[:1], *step) if event)
        return Finding(score=score, reasons=self._reasons(step, times) if score >= ALARM else (), metrics=tuple(blamed))

    def state(self) -> dict[str, JsonValue]:
        return {
            "sessions": self._learnt.sessions,
            "steps": [[*step, seen] for step, seen in self._learnt.steps.items()],
            "times": [[*times, seen] for times, seen in self._learnt.times.items()],
            "odd": self._learnt.odd,
        }

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        kept: dict[str, Any] = dict(state)
        steps = {(before, after): seen for before, after, seen in kept["steps"]}
        times = {(event, number): seen for event, number, seen in kept["times"]}
        return cls(_Learnt(kept["sessions"], steps, times, kept["odd"]))

    def _odd(self, session: Sequence[str]) -> tuple[float, Step, Times | None]:
        """The surprises of the rarest step and the rarest number, and both; without any event there is no number."""
        learnt = self._learnt
        step = min(_steps(session), key=lambda each: learnt.steps.get(each, 0))
        absent = next(((event, 0) for event in self._without if event not in session), None)
        times = min([*_times(session), *([absent] if absent else [])], key=self._seen, default=None)
        surprise = learnt.surprise(learnt.steps.get(step, 0)) + (learnt.surprise(self._seen(times)) if times else 0.0)
        return surprise, step, times

    def _seen(self, times: Times) -> int:
        """In how many of the sessions learnt from an event came so many times, or did not come."""
        event, number = times
        return self._learnt.times.get(times, 0) if number else self._without[event]

    def _reasons(self, step: Step, times: Times | None) -> tuple[str, ...]:
        learnt = self._learnt
        before, after = (event or edge for event, edge in zip(step, ("the start", "the end"), strict=True))
        taken = f"{before} was followed by {after}, as in {learnt.steps.get(step, 0)} of {learnt.sessions} sessions"
        if times is None:
            return (taken,)
        return taken, f"{times[0]} came {times[1]} times, as in {self._seen(times)} of {learnt.sessions} sessions"


def _steps(session: Sequence[str]) -> dict[Step, None]:
    """Each step of `session` once, in order."""
    return dict.fromkeys(pairwise((_OUTSIDE, *session, _OUTSIDE)))


def _times(session: Sequence[str]) -> dict[Times, None]:
    """How often each event of `session` came."""
    return dict.fromkeys((event, min(number, MOST_TIMES)) for event, number in Counter(session).items())
