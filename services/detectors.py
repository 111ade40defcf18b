"""Which detectors there are, what each may do in an org, and whether its record lets it do more or less."""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import Instant, OrgId, Value
from domain.detecting import Chosen, DetectorMode, Tally, earned, first_mode
from domain.errors import NotFoundError
from domain.identity import Caller
from models.detectors.fused import TrackRecord
from models.watch.watcher import WATCHED
from services.ledger import Ledger
from storage import detectors as store
from storage.engine import Database, repeatable


class Standing(Value):
    """A detector as an org has it. `precision` is the share of its latest alarms that were right, drawn to one half."""

    detector: str
    finds: str
    mode: DetectorMode
    by_person: bool
    changed_at: Instant | None
    tally: Tally
    precision: float


class Detectors:
    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def all(self, caller: Caller) -> list[Standing]:
        """By their names."""
        async with self._database.transaction(caller.org) as session:
            chosen = await store.chosen(session)
            return [_standing(name, chosen.get(name), await store.tally(session, name)) for name in sorted(WATCHED)]

    @repeatable
    async def choose(self, caller: Caller, detector: str, mode: DetectorMode) -> Standing:
        """A person's choice: its record changes it no more. What is open already stays in the mode it was found in.

        Raises:
            NotFoundError: no detector is called so.
        """
        if detector not in WATCHED:
            raise NotFoundError(f"no detector is called {detector}")
        async with self._database.transaction(caller.org) as session:
            before = (await store.chosen(session)).get(detector)
            await store.choose(session, caller.org, detector, mode, by_person=True)
            await _enter(session, self._ledger, caller.org, Actor.calling(caller), detector, _mode(detector, before), mode)
            return _standing(detector, (await store.chosen(session)).get(detector), await store.tally(session, detector))


async def reconsider(session: AsyncSession, ledger: Ledger, org: OrgId, names: Collection[str], *, actor: Actor) -> None:
    """Let each of these detectors do what its record has earned it, unless a person has chosen or it may of old."""
    chosen = await store.chosen(session)
    for name in sorted(set(names) & WATCHED.keys()):
        present = _mode(name, chosen.get(name))
        if (name in chosen and chosen[name].by_person) or first_mode(name) is not DetectorMode.SHADOW:
            continue
        tally = await store.tally(session, name)
        mode = earned(tally, _precision(tally), present)
        if mode is not present and await store.choose(session, org, name, mode, by_person=False):
            await _enter(session, ledger, org, actor, name, present, mode)


async def _enter(
    session: AsyncSession, ledger: Ledger, org: OrgId, actor: Actor, detector: str, before: DetectorMode, after: DetectorMode
) -> None:
    await ledger.append(
        session,
        org,
        "detector.mode_changed",
        actor=actor,
        resource_type="detector",
        resource_id=detector,
        before={"mode": before},
        after={"mode": after},
    )


def _mode(detector: str, chosen: Chosen | None) -> DetectorMode:
    return chosen.mode if chosen else first_mode(detector)


def _precision(tally: Tally) -> float:
    return TrackRecord(right=tally.right, false=tally.false).precision


def _standing(detector: str, chosen: Chosen | None, tally: Tally) -> Standing:
    return Standing(
        detector=detector,
        finds=WATCHED[detector],
        mode=_mode(detector, chosen),
        by_person=chosen is not None and chosen.by_person,
        changed_at=chosen.changed_at if chosen else None,
        tally=tally,
        precision=_precision(tally),
    )
