"""Follow the database of a connector: hear what it notifies, read what was missed, and take both in like deliveries.

Where it has a table for that, what we think of its incidents is written back.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial

from domain.base import Instant
from domain.connector import ConnectorStatus
from domain.errors import HealError, NotFoundError, QuotaExceededError, StoppedError, UnavailableError
from domain.feed import Change, DatabaseAddress, Fed, Feed, Notice
from domain.inbound import Inbound
from domain.refs import FeedRef
from services.connectors import Connectors, Followed
from services.opinions import Opinions
from services.ports import Databases, Watched
from services.receiving import Receiving
from storage import connectors as store
from storage import feeds
from storage.engine import Database

MOST_AT_ONCE = 20
"""How many databases one process follows."""
_LOOK = timedelta(seconds=1)
_COMPARE = timedelta(seconds=2)
_PATIENCE = 10
"""How often what was heard is offered again while there is no room for it, a second apart."""


class Feeding:
    def __init__(self, database: Database, connectors: Connectors, receiving: Receiving, databases: Databases) -> None:
        self._database = database
        self._connectors = connectors
        self._receiving = receiving
        self._databases = databases
        self._followed = 0

    async def follow(self, ref: FeedRef, *, goes_on: Callable[[], bool]) -> Fed:
        """Hear and read for as long as `goes_on` says so, which is asked every second, and the connector stays as it is.

        Where the database cannot be reached, the connector's log says why.

        Raises:
            UnavailableError: our own database is away, or this process follows as many as it can.
        """
        if self._followed >= MOST_AT_ONCE:
            raise UnavailableError(f"this process follows {MOST_AT_ONCE} databases, and no more")
        self._followed += 1
        try:
            return await self._follow(ref, goes_on)
        except (NotFoundError, StoppedError):
            return Fed(is_over=True)
        finally:
            self._followed -= 1

    async def _follow(self, ref: FeedRef, goes_on: Callable[[], bool]) -> Fed:
        known = await self._connectors.followed(ref)
        feed, has_begun = known.connector.config.feed, False
        if feed is None or known.connector.status is ConnectorStatus.PAUSED:
            return Fed(is_over=True)
        try:
            async with self._databases.open(DatabaseAddress.of(known.url.get_secret_value())) as watched:
                await watched.listen(feed.channels)
                has_begun = True
                await _Turn(self, ref, feed, watched).run(self._while_same(ref, known, goes_on))
        except StoppedError:
            raise
        except HealError as error:
            await self._note(ref, str(error))
            return Fed(is_lost=True, has_begun=has_begun)
        return Fed()

    def _while_same(self, ref: FeedRef, known: Followed, goes_on: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
        looked = 0.0

        async def is_same() -> bool:
            nonlocal looked
            if not goes_on():
                return False
            if time.monotonic() - looked < _COMPARE.total_seconds():
                return True
            looked = time.monotonic()
            return await self._connectors.is_as_followed(ref, known)

        return is_same

    async def take(self, ref: FeedRef, notices: Sequence[Notice], feed: Feed) -> None:
        """All of it is durable, or refused in the log, when this returns.

        Raises:
            NotFoundError, StoppedError: the connector is gone or paused.
            QuotaExceededError, UnavailableError: there was no room for it for a while.
        """
        inbound = Inbound(arrived=_now(), body=_body(notices, feed))
        for left in reversed(range(_PATIENCE)):
            try:
                await self._receiving.take_fed(ref, inbound)
            except (QuotaExceededError, UnavailableError):
                if not left:
                    raise
            else:
                return
            await asyncio.sleep(_LOOK.total_seconds())

    async def position(self, ref: FeedRef, feed: Feed) -> feeds.Position | None:
        async with self._database.transaction(ref.org) as session:
            return await feeds.position(session, ref, feed)

    async def put_position(self, ref: FeedRef, feed: Feed, value: str | None) -> None:
        async with self._database.transaction(ref.org) as session:
            await store.hold(session, ref.connector)
            await feeds.put_position(session, ref, feed, value)

    async def note_lost(self, ref: FeedRef, number: int) -> None:
        await self._note(ref, f"{number} notifications came faster than they could be stored, and are lost", refused=number)

    def opinions(self, ref: FeedRef, feed: Feed, watched: Watched) -> Opinions | None:
        """Who writes back what we think; None if nobody asks."""
        if feed.verdicts is None:
            return None
        return Opinions(self._database, ref, feed.verdicts, watched, partial(self._note, ref))

    async def _note(self, ref: FeedRef, reason: str, *, refused: int = 0) -> None:
        """In the log of deliveries, once for as long as nothing else happens."""
        async with self._database.transaction(ref.org) as session:
            await store.hold(session, ref.connector)
            await store.log_refusal(session, ref.org, ref.connector, reason[:500], refused=refused)


class _Turn:
    """One connection: first what was missed, then what is heard; what we think of it is written in between."""

    def __init__(self, feeding: Feeding, ref: FeedRef, feed: Feed, watched: Watched) -> None:
        self._feeding = feeding
        self._ref = ref
        self._feed = feed
        self._watched = watched
        self._opinions = feeding.opinions(ref, feed, watched)
        self._lost = 0

    async def run(self, goes_on: Callable[[], Awaitable[bool]]) -> None:
        is_behind = self._feed.since is not None
        while await goes_on():
            # Before anything is taken: an alert that opens another incident leaves the one before.
            if self._opinions is not None:
                await self._opinions.write(at=time.monotonic())
            if is_behind:
                is_behind = await self._catch_up()
            heard = await self._watched.heard(within=timedelta(0) if is_behind else _LOOK)
            notices = [each for each in heard if not self._feed.is_ours(each)]
            if notices:
                await self._feeding.take(self._ref, notices, self._feed)
            if self._watched.lost > self._lost:
                await self._feeding.note_lost(self._ref, self._watched.lost - self._lost)
                self._lost, is_behind = self._watched.lost, self._feed.since is not None
            # Where something has to be read yet, what is heard after it moves nothing past it.
            is_behind = is_behind or await self._advance(notices)

    async def _catch_up(self) -> bool:
        """Read what is newer than the last that was seen; whether there may be more. A first look begins with what comes."""
        position = await self._feeding.position(self._ref, self._feed)
        if position is None:
            await self._feeding.put_position(self._ref, self._feed, await self._watched.start(self._feed))
            return False
        found = False
        async with aclosing(self._watched.missed(self._feed, position.value)) as missed:
            async for each in missed:
                await self._feeding.take(self._ref, each.rows, self._feed)
                await self._feeding.put_position(self._ref, self._feed, each.position)
                found = True
        return found

    async def _advance(self, notices: Sequence[Notice]) -> bool:
        """What has been heard of the table is not read again; whether there is something in it that has to be read."""
        changes = [change for each in notices if (change := Change.of(self._feed, each)) is not None]
        if any(each.is_unread for each in changes):
            return True
        told = [each.position for each in changes if each.position is not None]
        known = await self._feeding.position(self._ref, self._feed) if told else None
        if known is None:
            return False
        latest = await self._watched.latest(self._feed, [*told, *((known.value,) if known.value is not None else ())])
        if latest is not None and latest != known.value:
            await self._feeding.put_position(self._ref, self._feed, latest)
        return False


def _body(notices: Sequence[Notice], feed: Feed) -> bytes:
    changes = (Change.of(feed, each) for each in notices)
    said = [
        {"channel": each.channel, "payload": each.payload, "is_known_by_row": change is not None and change.is_known_by_row}
        for each, change in zip(notices, changes, strict=True)
    ]
    return json.dumps(said).encode()


def _now() -> Instant:
    return datetime.now(UTC)
