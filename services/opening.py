"""Open the incident of something that broke, or join the open one, and tell its story's workflow."""

from typing import Any

from pydantic import Field, JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import OrgId, Value, WorkflowId
from domain.identity import Environment
from domain.incident import Incident, Severity, severity_of
from domain.refs import incident_workflow_id
from services.ledger import Ledger
from storage import incidents, outbox
from storage.outbox import Letter


class Breakage(Value):
    """What broke where; `signature` groups what is of one cause. Without a severity it is that of the environment.

    `events` is how often it has happened: so much is counted at once. `meta` is what the incident shows of how it is known.
    """

    signature: str
    title: str
    service: str
    environment: Environment
    workflow: WorkflowId | None = None
    severity: Severity | None = None
    events: int = 1
    meta: dict[str, JsonValue] = Field(default_factory=dict)
    known: dict[str, Any]
    """What the audit log says of this event."""


async def open_incident(session: AsyncSession, ledger: Ledger, org: OrgId, what: Breakage, *, actor: Actor) -> Incident:
    """The incident, which stays locked until the transaction ends; its workflow hears of it once that has committed."""
    carrier = incident_workflow_id(org, what.environment.name, what.service, what.signature)
    incident, opened = await incidents.open_or_join(
        session,
        org,
        signature=what.signature,
        title=what.title,
        service=what.service,
        environment=what.environment.name,
        severity=what.severity or severity_of(is_production=what.environment.is_production),
        workflow=what.workflow,
        carrier=carrier,
        events=what.events,
    )
    if what.meta:
        incident = await incidents.note(session, incident, what.meta)
    await outbox.add(session, org, Letter.WAKE_INCIDENT, {"incident": incident.id.shown, "carrier": incident.carrier})
    await ledger.append(
        session,
        org,
        "incident.opened" if opened else "incident.joined",
        actor=actor,
        resource_type="incident",
        resource_id=incident.id.shown,
        after=what.known,
        incident=incident.id,
    )
    return incident
