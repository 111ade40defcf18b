"""An org's environments: where its pipelines live, and whether people have to agree there."""

from domain.actor import Actor
from domain.identity import Caller, Environment
from services.ledger import Ledger
from storage import identity as store
from storage.engine import Database, repeatable


class Environments:
    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def all(self, caller: Caller) -> tuple[Environment, ...]:
        async with self._database.transaction(caller.org) as session:
            return await store.environments(session)

    @repeatable
    async def create(self, caller: Caller, wanted: Environment) -> Environment:
        """Raises ConflictError: the name is taken; an environment never changes its nature afterwards."""
        async with self._database.transaction(caller.org) as session:
            await store.add_environment(session, caller.org, wanted)
            await self._ledger.append(
                session,
                caller.org,
                "environment.created",
                actor=Actor.calling(caller),
                resource_type="environment",
                resource_id=wanted.name,
                after=wanted,
            )
        return wanted
