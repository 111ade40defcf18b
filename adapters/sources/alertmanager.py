"""Alertmanager's webhook, version 4, and whatever else groups alerts like it: vmalert, the rulers of Loki and Mimir."""

from collections.abc import Mapping

from pydantic import JsonValue

from adapters.sources.alerts import alert_signal, read_group
from adapters.sources.answering import Unyielding
from adapters.sources.signing import is_bearer
from domain.inbound import Inbound, Parsed


class Alertmanager(Unyielding):
    """Knows an alert by fingerprint, beginning and state: what is repeated every few hours is a duplicate."""

    kind = "alertmanager"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_group(
            inbound.body,
            lambda alert, group: alert_signal(alert, source=self.kind, arrived=inbound.arrived, group=group),
        )
