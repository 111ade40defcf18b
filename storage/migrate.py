"""Bring a database to the newest schema, in one transaction, one migrator at a time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from domain.errors import UnavailableError
from storage.admin import OWNER, open_admin
from storage.upkeep import keep_months

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x6D69_6772_6174


async def migrate(admin_url: str) -> str:
    """The revision the database has afterwards; the roles must exist. Signals have a partition for the months to come, too.

    Raises:
        UnavailableError: the database holds no revision even now.
    """
    engine = open_admin(admin_url, role=OWNER)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("set local lock_timeout = '60s'"))
            await connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            revision = await connection.run_sync(_upgrade)
            await keep_months(connection)
            return revision
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> str:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        raise UnavailableError("the migrations left no revision in the database")
    return revision
