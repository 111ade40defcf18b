"""Which request is being served: the one piece of ambient context, because log lines have no other way to know it."""

from contextvars import ContextVar

from pydantic import Field

from domain.base import OrgId, Value


class Trace(Value):
    """The ids that tie answers, log lines and audit rows of one request together."""

    trace_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    correlation_id: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    org: OrgId | None = None


current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)


def bind_org(org: OrgId) -> None:
    """Name the org once the credential is verified; without a trace there is nothing to bind to."""
    trace = current_trace.get()
    if trace is not None:
        current_trace.set(trace.model_copy(update={"org": org}))
