"""What is taken out of an org's signals before they are stored."""

from fastapi import APIRouter

from api.deps import Caller, KeyedRoute, Services, guarded
from domain.redaction import RedactionPolicy

router = APIRouter(prefix="/redaction", tags=["safety"], route_class=KeyedRoute)


@router.get("", **guarded("redaction.read"))
async def get(caller: Caller, services: Services) -> RedactionPolicy:
    return await services.redacting.policy(caller)


@router.put("", **guarded("redaction.write"))
async def put(body: RedactionPolicy, caller: Caller, services: Services) -> RedactionPolicy:
    """In place of the one before, for what arrives from two seconds later on. Credentials and personal data are taken out
    whatever it says."""
    return await services.redacting.put(caller, body)
