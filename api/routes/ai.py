"""What models say when they are asked."""

from fastapi import APIRouter

from api.deps import Services, StrictRoute, guarded
from domain.errors import UnavailableError
from services.detecting import Anomaly, Question

router = APIRouter(prefix="/ai", tags=["ai"], route_class=StrictRoute)  # it changes nothing, so a repeat may ask again


@router.post("/anomaly/detect", **guarded("anomaly.read", UnavailableError))
async def detect(body: Question, services: Services) -> Anomaly:
    """How odd a run is, why, and what to do about it: an anomaly from a score of .5 on.

    A feature that is left out is unknown. Fixed limits and repeated errors speak at once, each feature by itself from eight
    runs of `history` on, all of them together from thirty.
    """
    return await services.detecting.detect(body)
