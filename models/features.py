"""The features of a pipeline's run: one definition for learning and for serving, named as the specification names them."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.base import Value

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Signature = Annotated[str, StringConstraints(max_length=255)]

SIGNATURES = "error_signatures"
MOST_SIGNATURES = 500


class Features(Value):
    """What is known of one run, or of the last hour where the name says so; None is unknown, never zero."""

    execution_time_s: Amount | None = None
    failure_count_1h: Amount | None = None
    failure_rate: Share | None = Field(default=None, description="failed runs of the last hour among all, 0 to 1")
    retry_count: Amount | None = None
    cpu_percent: Amount | None = Field(default=None, description="of what the run may use")
    memory_percent: Amount | None = Field(default=None, description="of what the run may use")
    data_volume_rows: Amount | None = None
    throughput_rows_s: Amount | None = None
    latency_ms: Amount | None = None
    error_signatures: tuple[Signature, ...] = Field(
        default=(), max_length=MOST_SIGNATURES, description="of the errors of the last hour, one for each error"
    )


NAMES = tuple(name for name in Features.model_fields if name != SIGNATURES)
"""The features that are numbers, in the order of a row."""


def row(features: Features) -> tuple[float | None, ...]:
    """The numbers of `features`, one for each name."""
    return tuple(getattr(features, name) for name in NAMES)


def column(history: Sequence[Features], name: str) -> list[float]:
    """What is known of one feature, in order."""
    return [value for each in history if (value := getattr(each, name)) is not None]
