"""Single odd values of one series: whichever of the robust threshold and the seasonal baseline finds them odder."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import JsonValue

from domain.base import Value
from models.detectors.contract import Finding
from models.detectors.robust import RobustThreshold
from models.detectors.seasonal import SeasonalBaseline


class _State(Value):
    robust: dict[str, JsonValue]
    seasonal: dict[str, JsonValue]


class Outlier:
    """Scores every odd value, for as long as the values stay odd; `Departure` scores only the first of them."""

    def __init__(self) -> None:
        self._robust = RobustThreshold()
        self._seasonal = SeasonalBaseline()

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        findings = (self._robust.observe(at, row), self._seasonal.observe(at, row))
        return max(findings, key=lambda finding: finding.score)

    def state(self) -> dict[str, JsonValue]:
        return _State(robust=self._robust.state(), seasonal=self._seasonal.state()).model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls()
        detector._robust = RobustThreshold.restored(known.robust)
        detector._seasonal = SeasonalBaseline.restored(known.seasonal)
        return detector
