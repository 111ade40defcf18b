"""An anomaly: one thing about a service that is unlike its usual self, from the first suspicion to its end."""

from datetime import timedelta
from enum import StrEnum
from typing import Self

from pydantic import Field, JsonValue

from domain.base import AnomalyId, IncidentId, Instant, Value
from domain.detecting import DetectorMode, first_mode

ODD_TO_CONFIRM = 2
CONFIRM_AFTER = timedelta(milliseconds=400)
CALM_TO_DISMISS = 3
CALM_TO_END = 5
SILENT_AFTER = timedelta(minutes=10)
FLAPS_TO_DAMP = 3
DAMPED = 10
"""What has come back so often stays open until it was calm this many times as long."""
ALERT = "alert"
"""The detector of what a sender outside says: its firing is odd, its resolved is calm, and nothing of it is doubted."""
HOLD = timedelta(minutes=1)
"""An alert is over when it was resolved for this long."""


class AnomalyStatus(StrEnum):
    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
    OVER = "over"


class Observation(Value):
    """What a detector says of one subject at one moment; a metric's name, say, or a log's error lines.

    `weight` is how many odd things it stands for: one value is one, a burst of errors is many. `evidence` is what the reasons
    speak of: a value, a template, an error's signature.
    """

    detector: str
    subject: str
    at: Instant
    score: float = Field(ge=0, le=1)
    is_odd: bool
    weight: int = Field(default=1, ge=1)
    reasons: tuple[str, ...] = ()
    evidence: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.detector, self.subject


class Anomaly(Value):
    """`odd` counts the odd observations since it began, `calm` the usual ones since the last odd one.

    `mode` is that of its detector when it began: in the shadow it opens nothing.
    """

    id: AnomalyId
    detector: str
    subject: str
    status: AnomalyStatus = AnomalyStatus.SUSPECTED
    mode: DetectorMode
    score: float
    reasons: tuple[str, ...]
    evidence: dict[str, JsonValue] = Field(default_factory=dict)
    odd: int = 1
    calm: int = 0
    flaps: int = 0
    began_at: Instant
    last_odd_at: Instant
    seen_at: Instant
    ended_at: Instant | None = None
    incident_id: IncidentId | None = None

    @classmethod
    def of(cls, identifier: AnomalyId, seen: Observation, mode: DetectorMode | None = None) -> Self:
        """The suspicion that an odd observation raises; an alert is none, its sender has looked twice already."""
        return cls(
            id=identifier,
            status=AnomalyStatus.CONFIRMED if seen.detector == ALERT else AnomalyStatus.SUSPECTED,
            detector=seen.detector,
            subject=seen.subject,
            mode=mode or first_mode(seen.detector),
            score=seen.score,
            reasons=seen.reasons,
            evidence=seen.evidence,
            odd=seen.weight,
            began_at=seen.at,
            last_odd_at=seen.at,
            seen_at=seen.at,
        )

    @property
    def key(self) -> tuple[str, str]:
        return self.detector, self.subject

    @property
    def is_open(self) -> bool:
        return self.status in (AnomalyStatus.SUSPECTED, AnomalyStatus.CONFIRMED)

    @property
    def is_flapping(self) -> bool:
        return self.flaps >= FLAPS_TO_DAMP

    @property
    def is_undecided(self) -> bool:
        """Whether time alone changes what it is."""
        return self.status is AnomalyStatus.SUSPECTED or (self._is_alert and self.is_open and self.calm > 0)

    @property
    def is_ripening(self) -> bool:
        """Whether enough was odd to confirm it, and it only has to last a moment longer."""
        return self.status is AnomalyStatus.SUSPECTED and self.odd >= ODD_TO_CONFIRM

    @property
    def _is_alert(self) -> bool:
        return self.detector == ALERT

    def after(self, seen: Observation) -> Self:
        """With one more observation; what is the oddest of all so far gives its reasons.

        A suspicion of which nothing was heard for so long is none any more: it begins anew.
        """
        if self.status is AnomalyStatus.SUSPECTED and seen.is_odd and seen.at - self.seen_at >= SILENT_AFTER:
            return type(self).of(self.id, seen, self.mode).model_copy(update={"flaps": self.flaps})
        if not seen.is_odd:
            return self.model_copy(update={"calm": self.calm + 1, "seen_at": seen.at})
        is_oddest = seen.score >= self.score
        return self.model_copy(
            update={
                "odd": self.odd + seen.weight,
                "flaps": self.flaps + (self._is_alert and self.calm > 0),
                "calm": 0,
                "score": seen.score if is_oddest else self.score,
                "reasons": seen.reasons if is_oddest else self.reasons,
                "evidence": seen.evidence if is_oddest else self.evidence,
                "last_odd_at": seen.at,
                "seen_at": seen.at,
            }
        )

    def verdict(self, now: Instant) -> AnomalyStatus:
        """What it is by now: one odd value alone confirms nothing, and one usual value ends nothing."""
        if self.status is AnomalyStatus.SUSPECTED:
            if self.is_ripening and now - self.began_at >= CONFIRM_AFTER:
                return AnomalyStatus.CONFIRMED
            is_gone = self.calm >= CALM_TO_DISMISS or now - self.seen_at >= SILENT_AFTER
            return AnomalyStatus.DISMISSED if is_gone else self.status
        if self.status is AnomalyStatus.CONFIRMED:
            damped = DAMPED if self.is_flapping else 1
            if self._is_alert:
                is_over = self.calm > 0 and now - self.seen_at >= HOLD * damped
            else:
                is_over = self.calm >= CALM_TO_END * damped
            return AnomalyStatus.OVER if is_over else self.status
        return self.status

    def is_ripe(self, now: Instant) -> bool:
        return self.verdict(now) is not self.status


class SeenAnomaly(Anomaly):
    """One with where it was seen."""

    environment: str
    service: str
