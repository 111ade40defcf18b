"""Which request is being served: the one piece of ambient context, because log lines have no other way to know it."""

import re
from collections.abc import Mapping
from contextvars import ContextVar

from pydantic import Field, ValidationError

from domain.base import OrgId, Value

CARRIED = ("traceparent", "correlation")
_TRACEPARENT = re.compile(r"00-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-[0-9a-f]{2}")


class Trace(Value):
    """The ids that tie answers, log lines and audit rows of one request together."""

    trace_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    correlation_id: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    org: OrgId | None = None
    span_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{16}$")

    @property
    def parent_id(self) -> str:
        """The span that what follows belongs to; where nobody has opened one, one id per trace stands for it."""
        return self.span_id or self.trace_id[:16].replace("0" * 16, "0" * 15 + "1")

    @property
    def carried(self) -> dict[str, str]:
        """What travels with a letter or a header, so that whoever serves it next joins this trace."""
        return {"traceparent": f"00-{self.trace_id}-{self.parent_id}-01", "correlation": self.correlation_id}


current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)


def carried() -> dict[str, str]:
    """What of the current trace travels; nothing without one."""
    trace = current_trace.get()
    return trace.carried if trace else {}


def arrived(said: Mapping[str, str], *, org: OrgId | None) -> Trace | None:
    """The trace that came with a letter or a header; None when it brought none that is well formed."""
    match = _TRACEPARENT.fullmatch(said.get("traceparent", ""))
    if match is None:
        return None
    try:
        return Trace(trace_id=match["trace"], span_id=match["span"], correlation_id=said.get("correlation", ""), org=org)
    except ValidationError:
        return None


def bind_org(org: OrgId) -> None:
    """Name the org once the credential is verified; without a trace there is nothing to bind to."""
    trace = current_trace.get()
    if trace is not None:
        current_trace.set(trace.model_copy(update={"org": org}))
