"""What workflows, activities and messages carry: ids, never content."""

from uuid import UUID

from domain.base import ConnectorId, ExecutionId, IncidentId, Instant, OrgId, PipelineId, PlanId, RecoveryId, RequestId, Value
from domain.incident import Status


class RunRef(Value):
    org: OrgId
    pipeline: PipelineId
    execution: ExecutionId

    @property
    def workflow_id(self) -> str:
        return f"run/{self.org}/{self.pipeline}/{self.execution}"


class IncidentRef(Value):
    org: OrgId
    id: IncidentId


class MonitorRef(Value):
    """One service in one environment, as it is watched."""

    org: OrgId
    environment: str
    service: str

    @property
    def workflow_id(self) -> str:
        return f"monitor/{self.org}/{self.environment}/{self.service}"


class FeedRef(Value):
    """One connector whose database is listened to."""

    org: OrgId
    connector: ConnectorId

    @property
    def workflow_id(self) -> str:
        return f"feed/{self.org}/{self.connector}"


class PlanRef(Value):
    org: OrgId
    id: PlanId

    @property
    def workflow_id(self) -> str:
        return f"fix/{self.org}/{self.id}"


class PlanErrand(PlanRef):
    """A plan to carry out, and until when a run waits for it."""

    heal_by: Instant | None = None

    @property
    def ref(self) -> PlanRef:
        return PlanRef(org=self.org, id=self.id)


class RequestRef(Value):
    org: OrgId
    id: RequestId


def incident_workflow_id(org: OrgId, environment: str, service: str, signature: str) -> str:
    return f"inc/{org}/{environment}/{service}/{signature[:16]}"


def told_by(incident_workflow: str) -> tuple[str, str]:
    """The environment and the service that such an id names."""
    _, _, environment, rest = incident_workflow.split("/", 3)
    return environment, rest.rsplit("/", 1)[0]


class StageRef(Value):
    """One try at one stage of one run; `claim` tells it from every other try."""

    org: OrgId
    execution: ExecutionId
    stage: str
    claim: UUID


class RecoveryRef(Value):
    org: OrgId
    id: RecoveryId

    @property
    def workflow_id(self) -> str:
        return f"recovery/{self.org}/{self.id}"


class IncidentEnd(Value):
    """How the story of an incident ends, or comes to rest."""

    incident: IncidentRef
    status: Status


class PlanWish(Value):
    """A plan for an incident, in place of one that no longer fits if there was one."""

    incident: IncidentRef
    carrier: str
    supersedes: PlanId | None = None
