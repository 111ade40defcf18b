"""Alertmanager's webhook, version 4, and whatever else groups alerts like it: vmalert, the rulers of Loki and Mimir."""

from collections.abc import Mapping

from pydantic import JsonValue

from adapters.sources.alerts import alert_signal, grouped
from adapters.sources.answering import Unyielding
from adapters.sources.reading import read_each
from adapters.sources.signing import is_bearer
from domain.inbound import Inbound, Parsed


class Alertmanager(Unyielding):
    """Knows an alert by fingerprint, beginning and state: what is repeated every few hours is a duplicate."""

    kind = "alertmanager"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_each(
            lambda: grouped(inbound.body),
            lambda item: alert_signal(item[0], source=self.kind, arrived=inbound.arrived, group=item[1]),
        )
