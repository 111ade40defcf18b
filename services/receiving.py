"""Take in what a sender outside delivers: know it by its secret, read it, store every item and what came of it at once."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.anomaly import ALERT, Anomaly, Observation
from domain.base import Instant, SignalId
from domain.connector import Connector, ConnectorStatus, DeliveryStatus, Endpoint
from domain.errors import NotFoundError, QuotaExceededError, StoppedError, UnauthenticatedError, UnavailableError
from domain.identity import Environment
from domain.inbound import Inbound, Reply, Taken
from domain.incident import Incident
from domain.refs import FeedRef, MonitorRef
from domain.signal import Signal, signature
from services.connectors import Connectors
from services.delivery import Delivery, fires, read_delivery
from services.failing import open_errors
from services.intake import Intake, Received, Refusal
from services.ledger import Ledger
from services.opening import Breakage, open_incident
from services.ports import Reach, Source
from services.suspecting import Key, suspect, wake_monitors
from storage import anomalies
from storage import connectors as store
from storage import identity as identities
from storage.connectors import DeliveryCounts
from storage.engine import Database, now

Place = tuple[Environment, str]
Heard = tuple[SignalId, Signal]


class Receiving:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        intake: Intake,
        connectors: Connectors,
        sources: Mapping[str, Source],
        reach: Reach,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._intake = intake
        self._connectors = connectors
        self._sources = sources
        self._reach = reach

    async def take_named(self, kind: str, inbound: Inbound) -> Reply:
        """As `take`, at the endpoint that the request names in itself.

        Raises:
            UnauthenticatedError: it names none that there is, or does not know the secret.
            StoppedError, ForbiddenError, QuotaExceededError, UnavailableError: as there.
        """
        endpoint = await asyncio.to_thread(self._sources[kind].address, inbound)
        try:
            return await self.take(kind, endpoint or "", inbound)
        except NotFoundError:
            raise UnauthenticatedError("the request names no endpoint that there is") from None

    async def take(self, kind: str, endpoint: str, inbound: Inbound) -> Reply:
        """Every item that is counted as stored is durable when this returns.

        Raises:
            NotFoundError: nothing has this address; it is the same for an address of another kind.
            UnauthenticatedError: the sender does not know the connector's secret.
            StoppedError: the connector is paused.
            ForbiddenError, QuotaExceededError, UnavailableError: nothing is stored; to be sent again.
        """
        source, address = self._sources.get(kind), _address(endpoint)
        if source is None:
            raise NotFoundError("nothing has this address")
        connector = await self._known(address, source, inbound)
        taken = await self._take_in(connector, source, inbound)
        if taken.left_out and connector.config.source_url is not None:
            await self._take_rest(connector, source, inbound, connector.config.source_url)
        return source.reply(inbound, taken)

    async def take_fed(self, ref: FeedRef, inbound: Inbound) -> Taken:
        """What was read in the database of a connector, in the form that its source gives to it.

        Raises:
            StoppedError: the connector is paused, or gone.
            ForbiddenError, QuotaExceededError, UnavailableError: nothing is stored; to be offered again.
        """
        try:
            async with self._database.transaction(ref.org) as session:
                connector = await store.get(session, ref.connector)
        except NotFoundError as error:
            raise StoppedError("the connector is gone") from error
        if connector.status is ConnectorStatus.PAUSED:
            raise StoppedError("the connector is paused")
        return await self._take_in(connector, self._sources[connector.kind], inbound)

    async def _take_in(self, connector: Connector, source: Source, inbound: Inbound) -> Taken:
        try:
            with self._intake.place():
                return await self._store(connector, source, inbound)
        except QuotaExceededError as error:
            if source.gives_up_on_429:
                raise UnavailableError(str(error)) from error
            raise

    async def _store(self, connector: Connector, source: Source, inbound: Inbound) -> Taken:
        read = await read_delivery(connector, source, inbound, self._intake)
        shaped, alerts, errors = read.signals, read.alerts, read.errors

        async def work(session: AsyncSession) -> Taken:
            await store.hold(session, connector.id)
            places = await self._places(session, connector, shaped, sorted({*alerts, *errors}))
            alerted = {(place[0].name, place[1]) for place, numbers in places.items() if not alerts.isdisjoint(numbers)}
            await wake_monitors(session, connector.org, alerted)  # before the quota, as whatever stores signals does
            received: Sequence[Received | Refusal] = ()
            if shaped:
                received = await self._intake.store(session, connector.org, read.lot, actor=Actor.sending(connector.id))
            for place, numbers in places.items():
                new = {each: found.event_id for each in numbers if (found := _new(received[each])) is not None}
                if not alerts.isdisjoint(numbers):
                    heard = [(event, shaped[each]) for each, event in new.items() if each in alerts]
                    await self._hear(session, connector, place, heard, left_out=read.left_out)
                told = [(event, shaped[each], errors[each]) for each, event in new.items() if each in errors]
                await open_errors(session, self._ledger, connector, *place, told)
            taken = _taken(read, received)
            await store.log(session, connector.org, connector.id, _counts(taken, size=len(inbound.body)))
            return taken

        return await self._intake.in_turn(connector.org, work)

    async def _take_rest(self, connector: Connector, source: Source, inbound: Inbound, base: str) -> None:
        """What the sender left out, as it shows it itself; in the log of deliveries it is one of its own."""
        place = source.rest(inbound, base)
        if place is None:
            return
        try:
            answer = await self._reach.get(place)
        except UnavailableError as error:
            counts = DeliveryCounts(status=DeliveryStatus.REFUSED, size=0, reason=f"the rest could not be read: {error}"[:500])
            async with self._database.transaction(connector.org) as session:
                await store.hold(session, connector.id)
                await store.log(session, connector.org, connector.id, counts)
        else:
            await self._take_in(connector, source, source.with_rest(inbound, answer))

    async def _known(self, address: Endpoint, source: Source, inbound: Inbound) -> Connector:
        """The connector, once the sender has proved to know its secret; that somebody could not is in the log of deliveries."""
        kind, proof = source.belongs_to or source.kind, partial(source.is_authentic, inbound)
        try:
            connector = await self._connectors.proved(address, kind=kind, by=proof)
        except UnauthenticatedError as error:
            async with self._database.transaction(address.org) as session:
                await store.log_refusal(session, address.org, address.connector, str(error))
            raise
        if connector.status is ConnectorStatus.PAUSED:
            raise StoppedError("the connector is paused")
        return connector

    async def _places(
        self, session: AsyncSession, connector: Connector, signals: Sequence[Signal], numbers: Sequence[int]
    ) -> dict[Place, list[int]]:
        """These signals by the service they say something of, which is held."""
        places: dict[Place, list[int]] = {}
        environments: dict[str | None, Environment] = {}
        for number in numbers:
            signal = signals[number]
            if signal.environment not in environments:
                environments[signal.environment] = await self._environment(session, connector, signal)
            environment = environments[signal.environment]
            places.setdefault((environment, signal.service or connector.name), []).append(number)
        for environment, service in sorted(places, key=lambda each: (each[0].name, each[1])):
            await anomalies.hold(session, MonitorRef(org=connector.org, environment=environment.name, service=service))
        return places

    async def _hear(
        self, session: AsyncSession, connector: Connector, place: Place, heard: Sequence[Heard], *, left_out: int
    ) -> None:
        """What fires opens an incident, or joins the open one; its monitor ends it once it was over for a while."""
        environment, service = place
        ref = MonitorRef(org=connector.org, environment=environment.name, service=service)
        at = await now(session)
        known = await suspect(session, ref, [_observed(connector, signal, at) for _, signal in heard])
        opened: dict[Key, Anomaly] = {}
        for each in (each for each in heard if fires(each[1])):
            key = ALERT, _subject(connector, each[1])
            alert = opened.get(key) or known[key]
            if alert.incident_id is None or not alert.is_flapping:
                incident = await self._open_incident(session, connector, place, each, left_out=left_out)
                opened[key] = alert.model_copy(update={"incident_id": incident.id})
        await anomalies.put(session, ref, list(opened.values()))

    async def _open_incident(
        self, session: AsyncSession, connector: Connector, place: Place, heard: Heard, *, left_out: int
    ) -> Incident:
        (environment, service), (event, signal) = place, heard
        broken = Breakage(
            signature=_signature(connector, service, signal),
            title=signal.headline,
            service=service,
            environment=environment,
            workflow=signal.workflow_id,
            meta={"left_out_alerts": left_out} if left_out else {},
            known={"connector": connector.id.shown, "signal": event.shown, "key": signal.key},
        )
        return await open_incident(session, self._ledger, connector.org, broken, actor=Actor.sending(connector.id))

    async def _environment(self, session: AsyncSession, connector: Connector, signal: Signal) -> Environment:
        """The signal's own where the org has it, else the connector's."""
        for name in (signal.environment, connector.config.environment):
            if name is not None and (found := await identities.find_environment(session, name)) is not None:
                return found
        raise NotFoundError("no environment for what the connector opens")


def _address(endpoint: str) -> Endpoint:
    try:
        return Endpoint.of(endpoint)
    except ValueError:
        raise NotFoundError("nothing has this address") from None


def _new(answer: Received | Refusal) -> Received | None:
    return answer if isinstance(answer, Received) and answer.status != "duplicate" else None


def _signature(connector: Connector, service: str, signal: Signal) -> str:
    return signature(org=connector.org, service=service, error_code="alert", workflow=connector.kind, subject=signal.key)


def _observed(connector: Connector, signal: Signal, at: Instant) -> Observation:
    """What the sender says of its alert, as of when it was received."""
    is_odd = fires(signal)
    subject = _subject(connector, signal)
    return Observation(detector=ALERT, subject=subject, at=at, score=float(is_odd), is_odd=is_odd, reasons=(signal.headline,))


def _subject(connector: Connector, signal: Signal) -> str:
    """Two connectors may tell of the same thing: each has an alert of its own, which begins with its id."""
    return f"{connector.id}/{signal.key}"


def _taken(read: Delivery, received: Sequence[Received | Refusal]) -> Taken:
    told = Counter("refused" if isinstance(each, Refusal) else each.status for each in received)
    missing = f"the sender left out {read.left_out} more of the same group" if read.left_out else None
    if not read.signals and not read.refused:
        missing = "nothing was found in it"
    return Taken(
        stored=told["stored"] + told["counted"],
        duplicates=told["duplicate"],
        refused=told["refused"] + len(read.refused),
        reason=read.refused[0].reason[:500] if read.refused else missing,
        left_out=read.left_out,
    )


def _counts(taken: Taken, *, size: int) -> DeliveryCounts:
    some = taken.stored + taken.duplicates
    is_whole = not taken.refused and not taken.left_out
    status = DeliveryStatus.TAKEN if is_whole else DeliveryStatus.PARTLY if some else DeliveryStatus.REFUSED
    return DeliveryCounts(status=status, size=size, **taken.model_dump(exclude={"left_out"}))
