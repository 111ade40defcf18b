"""Detectors: what each may do with what it finds, and how often it was right."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.deps import Caller, KeyedRoute, Page, Services, guarded
from domain.base import Value
from domain.detecting import DetectorMode
from domain.errors import NotFoundError
from services.detectors import Standing

router = APIRouter(prefix="/detectors", tags=["monitoring"], route_class=KeyedRoute)


class DetectorIn(Value):
    mode: DetectorMode


@router.get("", **guarded("detector.read"))
async def find(caller: Caller, services: Services) -> Page[Standing]:
    """All that watch, by their names."""
    return Page[Standing](items=tuple(await services.detectors.all(caller)))


@router.put("/{detector}", **guarded("detector.write", NotFoundError))
async def choose(
    detector: Annotated[str, Path(max_length=64)], body: DetectorIn, caller: Caller, services: Services
) -> Standing:
    """From the next anomaly on. What a person has chosen is changed by persons alone, not by the detector's record."""
    return await services.detectors.choose(caller, detector, body.mode)
