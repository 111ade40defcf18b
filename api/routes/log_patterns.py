"""Patterns of a user's own, by which the log lines of one service are read."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints

from api.deps import Caller, KeyedRoute, Services, Short, guarded
from domain.base import Value
from domain.errors import NotFoundError
from domain.watch import LogPatterns
from services.log_patterns import LONGEST_PATTERN, MOST_PATTERNS

router = APIRouter(prefix="/log-patterns", tags=["monitoring"], route_class=KeyedRoute)

Named = Annotated[Short, Query(min_length=1)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PATTERN)]


class LogPatternsIn(Value):
    """Grok expressions like `%{IP:client} took %{NUMBER:ms:float}`, tried in their order; none, and lines are read like any."""

    service: Annotated[Short, Field(min_length=1)]
    environment: Annotated[Short, Field(min_length=1)]
    expressions: tuple[Pattern, ...] = Field(max_length=MOST_PATTERNS)
    definitions: dict[Short, Pattern] = Field(default_factory=dict, max_length=MOST_PATTERNS)


@router.get("", **guarded("detector.read", NotFoundError))
async def get(service: Named, environment: Named, caller: Caller, services: Services) -> LogPatterns:
    return await services.patterns.get(caller, service=service, environment=environment)


@router.put("", **guarded("detector.write", NotFoundError))
async def put(body: LogPatternsIn, caller: Caller, services: Services) -> LogPatterns:
    """In place of those before, from the next look at the service on."""
    wanted = LogPatterns(expressions=body.expressions, definitions=body.definitions)
    return await services.patterns.put(caller, wanted, service=body.service, environment=body.environment)
