"""Secrets of stages: written, replaced, never returned; and the data key that they are sealed under."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, SecretStr

from api.deps import AskingRoute, Caller, KeyedRoute, Services, guarded
from domain.base import Name, Value
from domain.errors import NotFoundError
from domain.pipeline import SecretName

router = APIRouter(prefix="/secrets", tags=["admin"], route_class=KeyedRoute)
asking = APIRouter(prefix="/secrets", tags=["admin"], route_class=AskingRoute)


class SecretIn(Value):
    value: Annotated[SecretStr, Field(min_length=1, max_length=65_536)]


class KeyOut(Value):
    """The data key that is current from now on."""

    key_id: str


@asking.post("/rotate-key", **guarded("secret.rotate"))
async def rotate_key(caller: Caller, services: Services) -> KeyOut:
    """Give the org a fresh data key and seal every secret again under it; other processes take it up within a minute."""
    return KeyOut(key_id=await services.secrets.rotate_key(caller))


@router.put("/{environment}/{name}", status_code=204, **guarded("secret.write", NotFoundError))
async def put(environment: Name, name: SecretName, body: SecretIn, caller: Caller, services: Services) -> None:
    """Store or replace a secret; the next stage that asks gets this one."""
    await services.secrets.put(caller, environment, name, body.value)
