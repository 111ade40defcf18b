"""Alertmanager's own API, version 2: what Prometheus pushes when we stand in its configuration as an Alertmanager."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from adapters.sources.alerts import alert_signal
from adapters.sources.answering import Unyielding
from adapters.sources.reading import UnreadableError, json_of, read_each
from adapters.sources.signing import is_bearer
from domain.inbound import Inbound, Parsed


class AlertmanagerApi(Unyielding):
    """An alert is what its labels are; it has ended when its end has come. Each is sent anew every minute while it fires."""

    kind = "alertmanager_api"
    belongs_to: str | None = "alertmanager"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_each(
            lambda: _alerts(inbound.body),
            lambda alert: alert_signal(alert, source=self.kind, arrived=inbound.arrived, group={}),
        )


def _alerts(body: bytes) -> list[Any]:
    alerts = json_of(body)
    if not isinstance(alerts, list):
        raise UnreadableError("expected a list of alerts")
    return alerts
