"""Alertmanager's webhook, version 4, and whatever else groups alerts like it: vmalert, the rulers of Loki and Mimir."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import JsonValue

from adapters.sources.alerts import alert_signal, read_group
from adapters.sources.answering import Unyielding
from adapters.sources.reading import UnreadableError, json_of, listed, mapping, object_of, text
from adapters.sources.signing import is_bearer
from domain.inbound import Inbound, Parsed

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Alertmanager(Unyielding):
    """Knows an alert by fingerprint, beginning and state: what is repeated every few hours is a duplicate."""

    kind = "alertmanager"
    can_be_asked = True

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_group(
            inbound.body,
            lambda alert, group: alert_signal(alert, source=self.kind, arrived=inbound.arrived, group=group),
        )

    def rest(self, inbound: Inbound, base: str) -> str | None:
        """What of the same group Alertmanager shows in its API: that fires, and is neither silenced nor inhibited."""
        if (group := _group(inbound)) is None:
            return None
        labels = {name: value for name, value in mapping(group.get("groupLabels")).items() if _NAME.fullmatch(name)}
        asked = [("active", "true"), ("silenced", "false"), ("inhibited", "false"), ("unprocessed", "false")]
        asked += [("filter", f"{name}={json.dumps(text(value) or '', ensure_ascii=False)}") for name, value in labels.items()]
        if receiver := text(group.get("receiver")):
            asked.append(("receiver", re.escape(receiver)))
        return f"{base.rstrip('/')}/api/v2/alerts?{urlencode(asked)}"

    def with_rest(self, inbound: Inbound, answer: bytes) -> Inbound:
        try:
            alerts = listed(json_of(answer))
        except UnreadableError:
            alerts = []
        whole = (_group(inbound) or {}) | {"truncatedAlerts": 0, "alerts": alerts}
        return inbound.model_copy(update={"body": json.dumps(whole).encode()})


def _group(inbound: Inbound) -> dict[str, Any] | None:
    try:
        return object_of(inbound.body)
    except UnreadableError:
        return None
