"""Whether this process could do its work now."""

from domain.base import Value
from domain.errors import HealError
from services.ports import Engine, Policy
from storage.engine import Database


class Part(Value):
    name: str
    ok: bool
    detail: str = ""


class Readiness(Value):
    ready: bool
    parts: tuple[Part, ...]


class Health:
    def __init__(self, database: Database, engine: Engine, policy: Policy) -> None:
        self._database = database
        self._engine = engine
        self._policy = policy

    async def readiness(self) -> Readiness:
        """Database, engine and policy bundle, each asked once."""
        parts = (await self._database_part(), await self._engine_part(), await self._policy_part())
        return Readiness(ready=all(part.ok for part in parts), parts=parts)

    async def _database_part(self) -> Part:
        try:
            await self._database.ping()
        except HealError as error:
            return Part(name="database", ok=False, detail=str(error))
        return Part(name="database", ok=True)

    async def _engine_part(self) -> Part:
        try:
            await self._engine.ping()
        except HealError as error:
            return Part(name="engine", ok=False, detail=str(error))
        return Part(name="engine", ok=True)

    async def _policy_part(self) -> Part:
        try:
            revision = await self._policy.revision()
        except HealError as error:
            return Part(name="policy", ok=False, detail=str(error))
        return Part(name="policy", ok=True, detail=f"bundle revision {revision}")
