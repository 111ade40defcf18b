"""What models think: why it broke."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from domain.refs import IncidentRef

if TYPE_CHECKING:
    from services.diagnosis import Diagnostics


class Inference:
    queue = "inference"

    def __init__(self, diagnostics: Diagnostics) -> None:
        self._diagnostics = diagnostics

    @activity.defn
    async def diagnose(self, ref: IncidentRef) -> str | None:
        """The likeliest cause in a sentence; the hypotheses themselves are rows."""
        top = (await self._diagnostics.diagnose(ref)).top
        return f"{top.statement} ({top.confidence:.0%})" if top else None
