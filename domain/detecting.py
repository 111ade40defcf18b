"""What an org lets each detector do with what it finds, and how often that was right."""

from enum import StrEnum

from pydantic import Field

from domain.base import Instant, Value


class DetectorMode(StrEnum):
    """`shadow`: what it finds is stored and shown. `alert`: it opens incidents as well. `page`: of the highest severity."""

    SHADOW = "shadow"
    ALERT = "alert"
    PAGE = "page"


OF_OLD = frozenset({"alert", "burst", "outlier"})
"""Whoever watched with these before modes were known is still told; any other detector begins in the shadow."""

ENOUGH = 20
"""So many alarms with a known end make a record."""

TRUSTED, DISTRUSTED = 0.8, 0.5
"""A precision from which on a detector may open incidents, and one below which it may no more."""


def first_mode(detector: str) -> DetectorMode:
    return DetectorMode.ALERT if detector in OF_OLD else DetectorMode.SHADOW


class Chosen(Value):
    """A mode that is not the first one: a person chose it, or the detector's record did."""

    detector: str
    mode: DetectorMode
    by_person: bool
    changed_at: Instant | None = None


class Tally(Value):
    """Of a detector's latest alarms: how many were right, how many false, and of how many nobody knows yet."""

    right: int = Field(default=0, ge=0)
    false: int = Field(default=0, ge=0)
    undecided: int = Field(default=0, ge=0)


def earned(tally: Tally, precision: float, present: DetectorMode) -> DetectorMode:
    """The mode that a record of `precision` makes of the present one; nobody is ever woken by a record alone."""
    if tally.right + tally.false < ENOUGH or present is DetectorMode.PAGE:
        return present
    if present is DetectorMode.SHADOW and precision >= TRUSTED:
        return DetectorMode.ALERT
    return DetectorMode.SHADOW if precision < DISTRUSTED else present
