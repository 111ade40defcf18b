"""Rows held by somebody else, so that what races for them stands in line in a known order."""

from contextlib import asynccontextmanager

from sqlalchemy import text

INCIDENT = text("select id from incidents where org_id = :org and id = :id for update")
RUN = text("select id from executions where org_id = :org and id = :id for update")
_WAITING = text(
    "select count(*) from pg_stat_activity where datname = current_database()"
    " and wait_event_type = 'Lock' and wait_event in ('transactionid', 'tuple')"
)


@asynccontextmanager
async def locked(superuser, statement, **values):
    """A row held by a transaction of our own; yields whether so many wait for a row by now."""
    async with superuser.begin() as connection:
        assert (await connection.execute(statement, values)).all(), "there is a row to lock"

        async def waiters(count: int) -> bool:
            async with superuser.connect() as other:
                return (await other.execute(_WAITING)).scalar_one() >= count

        yield waiters
