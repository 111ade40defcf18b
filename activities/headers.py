"""The trace as the engine's headers carry it: from a request through its workflow into every activity."""

import json
from collections.abc import Mapping

from temporalio.api.common.v1 import Payload

from domain.base import OrgId
from domain.trace import CARRIED, Trace, arrived

Headers = Mapping[str, Payload]
_LONGEST = 256


def headers_of(trace: Trace) -> dict[str, Payload]:
    return {
        name: Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(text).encode())
        for name, text in trace.carried.items()
    }


def trace_in(headers: Headers, *, workflow_id: str, run_id: str) -> Trace:
    """The trace of the headers; a workflow that came without one is its own trace."""
    org = org_in(workflow_id)
    said = {name: _text(headers[name]) for name in CARRIED if name in headers}
    return arrived(said, org=org) or Trace(trace_id=run_id.replace("-", ""), correlation_id=run_id, org=org)


def org_in(workflow_id: str) -> OrgId | None:
    """Every workflow id is `<kind>/<org>/…`."""
    parts = workflow_id.split("/")
    try:
        return OrgId.of(parts[1]) if len(parts) > 1 else None
    except ValueError:
        return None


def _text(payload: Payload) -> str:
    """Whoever reaches the engine can send a header, so what is not a short string counts as none."""
    try:
        found = json.loads(payload.data[:_LONGEST])
    except ValueError:
        return ""
    return found if isinstance(found, str) else ""
