"""Every use case the API serves, built once per process by `bootstrap`."""

from dataclasses import dataclass

from services.approvals import Approvals
from services.asking import Asking
from services.audit import Audit
from services.codec import Decoding
from services.connectors import Connectors
from services.deciding import Deciding
from services.decisions import Decisions
from services.detecting import Detecting
from services.detectors import Detectors
from services.diagnosis import Diagnostics
from services.environments import Environments
from services.health import Health
from services.idempotency import IdempotencyKeys
from services.identity import Identity
from services.incidents import Incidents
from services.intake import Intake
from services.log_patterns import Patterns
from services.monitoring import Monitoring
from services.operations import Operations
from services.pipelines import Pipelines
from services.planning import Planning
from services.ports import Blobs, Policy, Spans
from services.principals import Principals
from services.receiving import Receiving
from services.recovery import Recovery
from services.redacting import Redacting
from services.runs import Runs
from services.secrets import Secrets
from services.seeing import Seeing
from services.switches import Switches
from services.trials import Trials
from services.workflows import Workflows


@dataclass(frozen=True)
class Services:
    approvals: Approvals
    asking: Asking
    audit: Audit
    blobs: Blobs
    codec: Decoding
    connectors: Connectors
    deciding: Deciding
    decisions: Decisions
    detecting: Detecting
    detectors: Detectors
    diagnostics: Diagnostics
    environments: Environments
    health: Health
    idempotency: IdempotencyKeys
    identity: Identity
    incidents: Incidents
    intake: Intake
    monitoring: Monitoring
    operations: Operations
    patterns: Patterns
    pipelines: Pipelines
    planning: Planning
    policy: Policy
    principals: Principals
    receiving: Receiving
    trials: Trials
    recovery: Recovery
    redacting: Redacting
    runs: Runs
    secrets: Secrets
    seeing: Seeing
    switches: Switches
    workflows: Workflows
    spans: Spans | None = None
