"""What every detector of one series does alike: reads its value, scores a ratio, writes a number for people."""

import math
from collections.abc import Sequence

_LIMIT = 1e100


def reading(row: Sequence[float | None]) -> float | None:
    """The one value of `row`; None when it is missing or no number. Beyond 1e100 it counts as that."""
    (value,) = row
    if value is None or math.isnan(value):
        return None
    return max(-_LIMIT, min(_LIMIT, float(value)))


def squashed(ratio: float) -> float:
    """A ratio as a score: 0 stays 0, 1 is one half, infinity is 1."""
    return 1.0 - 1.0 / (1.0 + ratio)


def shown(number: float) -> str:
    """`number` as people read it: three digits that tell, thousands parted."""
    if abs(number) >= 1e12 or 0 < abs(number) < 1e-4:
        return f"{number:.3g}"
    digits = max(0, 2 - math.floor(math.log10(abs(number)))) if number else 0
    whole, _, rest = f"{number:,.{digits}f}".partition(".")
    rest = rest.rstrip("0")
    return f"{whole}.{rest}" if rest else whole
