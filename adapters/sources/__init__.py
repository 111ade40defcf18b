"""Every kind of sender that we understand, a file each; all implement `services.ports.Source`."""

from typing import TYPE_CHECKING

from adapters.sources.alertmanager import Alertmanager
from adapters.sources.alertmanager_api import AlertmanagerApi
from adapters.sources.cloudevents import CloudEvents
from adapters.sources.datadog import Datadog
from adapters.sources.generic import Generic
from adapters.sources.github import GitHub
from adapters.sources.gitlab import GitLab
from adapters.sources.grafana import Grafana
from adapters.sources.openlineage import OpenLineage
from adapters.sources.otlp_logs import OtlpLogs
from adapters.sources.otlp_metrics import OtlpMetrics
from adapters.sources.otlp_traces import OtlpTraces
from adapters.sources.pagerduty_events import PagerDutyEvents
from adapters.sources.pagerduty_webhooks import PagerDutyWebhooks
from adapters.sources.postgres import Postgres
from adapters.sources.sentry import Sentry

if TYPE_CHECKING:
    from services.ports import Source

SOURCES: "tuple[Source, ...]" = (
    Alertmanager(),
    AlertmanagerApi(),
    Grafana(),
    CloudEvents(),
    OtlpLogs(),
    OtlpMetrics(),
    OtlpTraces(),
    GitHub(),
    GitLab(),
    PagerDutyEvents(),
    PagerDutyWebhooks(),
    Sentry(),
    Datadog(),
    OpenLineage(),
    Generic(),
)

FEEDS: "tuple[Source, ...]" = (Postgres(),)
"""What we listen to: it has no door of its own."""
