"""Keep the table of verdicts in a followed database as what we think of its incidents."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from domain.errors import UnavailableError
from domain.feed import TableName
from domain.opinion import Opinion, Unwritten
from domain.refs import FeedRef
from services.ports import Watched
from storage import opinions as store
from storage.engine import Database

if TYPE_CHECKING:
    from domain.base import IncidentId

AT_ONCE = 200
MOST = 1_000
"""How many incidents of a connector are kept as they are, the newest ones."""
EVERY = timedelta(seconds=2)
RETRY = timedelta(minutes=1)
"""How long a table that cannot be written to is left alone."""

log = logging.getLogger("suture.opinions")


class Opinions:
    """Of one connection: at its beginning everything is written anew, which mends what was lost."""

    def __init__(
        self, database: Database, ref: FeedRef, table: TableName, watched: Watched, note: Callable[[str], Awaitable[None]]
    ) -> None:
        """`note` is told, once, why nothing can be written."""
        self._database = database
        self._ref = ref
        self._table = table
        self._watched = watched
        self._note = note
        self._written: dict[IncidentId, Opinion] = {}
        self._seen: list[IncidentId] = []
        self._noted: str | None = None
        self._is_tried = False
        self._due = 0.0

    async def write(self, *, at: float) -> None:
        """What has changed, `AT_ONCE` incidents at a time, if that is due `at` these seconds of a clock that only grows.

        A database that is away is no error here: whoever listens to it finds that out, and we ask ours again.
        """
        if at < self._due:
            return
        self._due = at + EVERY.total_seconds()
        try:
            flaw = await self._write()
            if flaw is not None and not flaw.incidents:
                self._due = at + RETRY.total_seconds()
            await self._say(None if flaw is None else f"verdicts are not written: {flaw.reason}")
        except UnavailableError as error:
            log.warning("verdicts not written", extra={"connector": self._ref.connector.shown, "code": error.code})

    async def _write(self) -> Unwritten | None:
        """A row that is refused is offered again when there is something new of it, or by the next connection."""
        found, flaw = await self._look(), None
        news = [each for each in found if self._written.get(each.incident) != each]
        if news or not self._is_tried:
            flaw = await self._watched.write(self._table, news)
            if flaw is not None and not flaw.incidents:
                return flaw
        self._is_tried = True
        self._remember(found)
        return flaw

    async def _look(self) -> list[Opinion]:
        """The next incidents after those that were looked at before."""
        async with self._database.transaction(self._ref.org) as session:
            after = self._seen[-1] if self._seen else None
            found = await store.of_connector(session, self._ref.connector, known=self._written, after=after, limit=AT_ONCE)
        return [self._with_subject(each) for each in found]

    def _with_subject(self, opinion: Opinion) -> Opinion:
        """An alert that has opened another incident leaves the one before, which was still about it."""
        before = self._written.get(opinion.incident)
        return opinion.model_copy(update={"subject": before.subject}) if before and opinion.subject is None else opinion

    def _remember(self, found: Sequence[Opinion]) -> None:
        self._written |= {each.incident: each for each in found}
        self._seen += [each.incident for each in found]
        if len(found) < AT_ONCE or len(self._seen) >= MOST:
            self._written = {each: self._written[each] for each in self._seen}
            self._seen = []

    async def _say(self, reason: str | None) -> None:
        if reason is not None and reason != self._noted:
            await self._note(reason)
        self._noted = reason
