"""Patterns of a user's own by which the lines of one service are read."""

import asyncio

from pydantic import ValidationError

from domain.actor import Actor
from domain.errors import InvalidError, NotFoundError
from domain.identity import Caller
from domain.refs import MonitorRef
from domain.watch import LogPatterns, Monitor
from models.logs.grok import LONGEST_PATTERN, MOST_PATTERNS, GrokPatterns
from services.ledger import Ledger
from storage import monitors
from storage.engine import Database, repeatable

__all__ = ["LONGEST_PATTERN", "MOST_PATTERNS", "Patterns"]


class Patterns:
    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def get(self, caller: Caller, *, service: str, environment: str) -> LogPatterns:
        """Raises NotFoundError: the service is not watched in that environment."""
        ref = MonitorRef(org=caller.org, environment=environment, service=service)
        async with self._database.transaction(caller.org) as session:
            return _known(await monitors.get(session, ref), ref).patterns

    async def put(self, caller: Caller, wanted: LogPatterns, *, service: str, environment: str) -> LogPatterns:
        """From the next look on lines are read with these, in place of those before; none, and they are read like any.

        Raises:
            InvalidError: one cannot be compiled, or they are too large; the sentence says which and why.
            NotFoundError: the service is not watched in that environment.
        """
        await asyncio.to_thread(_check, wanted)  # it may take a while, and nobody else is to wait for it
        return await self._put(caller, wanted, MonitorRef(org=caller.org, environment=environment, service=service))

    @repeatable
    async def _put(self, caller: Caller, wanted: LogPatterns, ref: MonitorRef) -> LogPatterns:
        async with self._database.transaction(caller.org) as session:
            before = _known(await monitors.held(session, ref), ref).patterns
            await monitors.set_patterns(session, ref, wanted)
            await self._ledger.append(
                session,
                caller.org,
                "log_patterns.changed",
                actor=Actor.calling(caller),
                resource_type="monitor",
                resource_id=f"{ref.environment}/{ref.service}",
                before={"expressions": len(before.expressions), "definitions": len(before.definitions)},
                after={"expressions": len(wanted.expressions), "definitions": len(wanted.definitions)},
            )
        return wanted


def _known(monitor: Monitor | None, ref: MonitorRef) -> Monitor:
    if monitor is None:
        raise NotFoundError(f"no service {ref.service} is watched in {ref.environment}")
    return monitor


def _check(wanted: LogPatterns) -> None:
    try:
        GrokPatterns(expressions=wanted.expressions, definitions=wanted.definitions)
    except ValidationError as error:
        flaw = error.errors(include_url=False, include_input=False)[0]
        place = "".join(f"/{step}" for step in flaw["loc"][:1])
        raise InvalidError(flaw["msg"].removeprefix("Value error, "), pointer=place) from error
