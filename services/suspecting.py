"""Have a service watched; suspect what is odd of it, and tell what is suspected already that it was seen once more."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.anomaly import Anomaly, Observation
from domain.base import AnomalyId, OrgId
from domain.refs import MonitorRef
from storage import anomalies, detectors, monitors, outbox
from storage.engine import new_ids
from storage.outbox import Letter

FLAPS_WITHIN = timedelta(minutes=10)

Key = tuple[str, str]


async def wake_monitors(session: AsyncSession, org: OrgId, services: Collection[tuple[str, str]]) -> None:
    """Tell the monitors of these pairs of environment and service that something has come; those awake will see it."""
    for ref in await monitors.wake(session, org, services) if services else ():
        await outbox.add(session, org, Letter.WAKE_MONITOR, {"environment": ref.environment, "service": ref.service})


async def suspect(session: AsyncSession, ref: MonitorRef, observations: Sequence[Observation]) -> dict[Key, Anomaly]:
    """The anomalies that these observations begin or concern, as they are then stored; they stay locked.

    One that comes back soon after it was over has flapped once more.
    """
    known = {each.key: each for each in await anomalies.held(session, ref)}
    concerned = {each.key for each in observations if each.is_odd} | set(known)
    news = [each for each in observations if each.key in concerned]
    if not news:
        return {}
    begins = {each.key for each in observations if each.is_odd} - known.keys()
    came_back = await anomalies.flaps(session, ref, within=FLAPS_WITHIN) if begins else {}
    chosen = await detectors.chosen(session) if begins else {}
    fresh = iter(await new_ids(session, len(begins)) if begins else ())
    for each in news:
        if (before := known.get(each.key)) is not None:
            known[each.key] = before.after(each)
        elif each.is_odd:
            mode = chosen[each.detector].mode if each.detector in chosen else None
            begun = Anomaly.of(AnomalyId.of(next(fresh)), each, mode)
            known[each.key] = begun.model_copy(update={"flaps": came_back[each.key] + 1 if each.key in came_back else 0})
    changed = {key: known[key] for key in sorted({each.key for each in news if each.key in known})}
    await anomalies.put(session, ref, list(changed.values()))
    return changed
