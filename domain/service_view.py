"""How a service does of late: rate, errors and duration of what it does; utilisation, saturation and errors of what it uses."""

from datetime import timedelta
from enum import StrEnum

from domain.base import Instant, Value


class Window(StrEnum):
    """The last five minutes or half an hour, minute by minute, or the last six hours, five minutes at a time."""

    SHORT = "5m"
    MIDDLE = "30m"
    LONG = "6h"

    @property
    def minutes(self) -> int:
        """How long each part is."""
        return 5 if self is Window.LONG else 1

    @property
    def parts(self) -> int:
        return {Window.SHORT: 5, Window.MIDDLE: 30, Window.LONG: 72}[self]

    def began(self, now: Instant) -> Instant:
        """The first part begins then; the last one is the present one, which is not over yet."""
        present = now.replace(minute=now.minute - now.minute % self.minutes, second=0, microsecond=0)
        return present - timedelta(minutes=self.minutes) * (self.parts - 1)


class State(StrEnum):
    PRESENT = "present"
    MISSING = "missing"


class Figure(Value):
    """What `source` says over the whole window: the mean, or the sum where things are counted, and the highest.

    Where nothing came it is missing, and no figure at all; a zero is a zero that came.
    """

    state: State = State.MISSING
    value: float | None = None
    highest: float | None = None
    unit: str
    source: str | None = None
    last_at: Instant | None = None


class Part(Value):
    """A part of the window; None where nothing came."""

    at: Instant
    rate: float | None
    errors: float | None
    duration: float | None


class ServiceView(Value):
    """`rate` is a second, `errors` the share that failed, `duration` in seconds; of resources each has a figure."""

    service: str
    environment: str
    window: Window
    since: Instant
    at: Instant
    rate: Figure
    errors: Figure
    duration: Figure
    utilisation: tuple[Figure, ...]
    saturation: tuple[Figure, ...]
    resource_errors: tuple[Figure, ...]
    parts: tuple[Part, ...]
