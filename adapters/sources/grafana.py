"""Grafana's alerting webhook: Alertmanager's shape with an organisation, values and a signature."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import JsonValue

from adapters.sources.alerts import alert_signal, read_group
from adapters.sources.answering import Unyielding
from adapters.sources.reading import at, first, mapping, number
from adapters.sources.signing import is_bearer, is_signed
from adapters.sources.times import instant
from domain.inbound import Inbound, Parsed
from domain.signal import Signal

_SIGNATURE, _TIMESTAMP = "x-grafana-alerting-signature", "x-grafana-alerting-timestamp"
_FRESH = timedelta(minutes=5)


class Grafana(Unyielding):
    """Signed over the body, or over time and body where the contact point names `X-Grafana-Alerting-Timestamp`.

    A contact point without a signature may send the secret in `Authorization`.
    """

    kind = "grafana"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        signature, sent = inbound.headers.get(_SIGNATURE), inbound.headers.get(_TIMESTAMP)
        if signature is None:
            return is_bearer(inbound, secret)
        if sent is None:
            return is_signed(inbound.body, signature, secret)
        signed_at = instant(sent)
        is_fresh = signed_at is not None and abs(inbound.arrived - signed_at) <= _FRESH
        return is_signed(sent.encode("utf-8", "replace") + b":" + inbound.body, signature, secret) and is_fresh

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_group(inbound.body, lambda alert, group: self._signal(alert, group, inbound))

    def _signal(self, alert: object, group: dict[str, Any], inbound: Inbound) -> Signal:
        org = first(at(alert, "orgId"), group.get("orgId")) or ""
        return alert_signal(
            alert, source=self.kind, arrived=inbound.arrived, group=group, scope=f"{org}/", value=_value(at(alert, "values"))
        )


def _value(values: object) -> float | None:
    """The value, if the rule has a single one."""
    found = [number(value) for value in mapping(values).values()]
    return found[0] if len(found) == 1 else None
