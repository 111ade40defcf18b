"""What every detector of one series does alike: reads its value, scores a ratio or a chance, writes a number for people."""

import math
from collections.abc import Sequence

_LIMIT = 1e100
_ODD = 1e-5
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def reading(row: Sequence[float | None]) -> float | None:
    """The one value of `row`; None when it is missing or no number. Beyond 1e100 it counts as that."""
    (value,) = row
    return number(value)


def number(value: float | None) -> float | None:
    """`value`, None when it is missing or no number. Beyond 1e100 it counts as that."""
    if value is None or math.isnan(value):
        return None
    return max(-_LIMIT, min(_LIMIT, float(value)))


def amount(value: float | None) -> float | None:
    """`value` where it counts or measures something: what is below zero is no amount, and so missing."""
    known = number(value)
    return None if known is None or known < 0 else known


def squashed(ratio: float) -> float:
    """A ratio as a score: 0 stays 0, 1 is one half, infinity is 1."""
    return 1.0 - 1.0 / (1.0 + ratio)


def rarity(chance: float) -> float:
    """A chance as a score: 1 is 0, one in 100,000 is one half, its square two thirds."""
    return squashed(math.log(chance) / math.log(_ODD)) if chance > 0 else 1.0


def shown(number: float) -> str:
    """`number` as people read it: three digits that tell, thousands parted."""
    if abs(number) >= 1e12 or 0 < abs(number) < 1e-4:
        return f"{number:.3g}"
    digits = max(0, 2 - math.floor(math.log10(abs(number)))) if number else 0
    whole, _, rest = f"{number:,.{digits}f}".partition(".")
    rest = rest.rstrip("0")
    return f"{whole}.{rest}" if rest else whole


def lasting(seconds: float) -> str:
    """A time in the largest unit of which there are two: `90 s`, `5 min`, `36 h`, `3 d`."""
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 2 * size), ("s", 1))
    return f"{shown(seconds / size)} {unit}"
