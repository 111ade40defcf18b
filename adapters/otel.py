"""OpenTelemetry: one span per stage of a story, all under the trace that came with its request."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import uuid4

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context

from domain.errors import HealError
from domain.trace import Trace, current_trace

_QUEUE, _BATCH = 2_048, 256
_DELAY = timedelta(seconds=2)
_EXPORT_WITHIN = timedelta(seconds=5)
_LIMITS = SpanLimits(max_span_attributes=16, max_attribute_length=256, max_events=4, max_links=4)


class Tracing:
    """The spans of one process. An error shows as its class, never its words: they may hold what was submitted."""

    def __init__(self, *, service: str, region: str) -> None:
        resource = Resource({"service.name": service, "service.namespace": "suture", "cloud.region": region})
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, span_limits=_LIMITS)
        self._tracer = self._provider.get_tracer("suture")

    def tell(self, processor: SpanProcessor) -> None:
        """Let `processor` see every span from now on; without one, none is kept."""
        self._provider.add_span_processor(processor)

    @contextmanager
    def open(self, name: str, **attributes: str) -> Iterator[Span]:
        """A span in the current trace, or in one of its own, for as long as the block lasts."""
        trace = current_trace.get() or Trace(trace_id=uuid4().hex, correlation_id=str(uuid4()))
        org = {"suture.org": trace.org.shown} if trace.org else {}
        told = {f"suture.{key}": value for key, value in attributes.items()}
        span = self._tracer.start_span(name, context=_parent(trace), attributes=org | told)
        inner = trace.model_copy(update={"span_id": f"{span.get_span_context().span_id:016x}"})
        token = current_trace.set(inner)
        try:
            yield span
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, error.code if isinstance(error, HealError) else type(error).__name__))
            raise
        finally:
            current_trace.reset(token)
            span.end()

    async def close(self) -> None:
        """Send what is still queued, for no longer than one export may take."""
        await asyncio.to_thread(self._provider.shutdown)


def open_tracing(endpoint: str | None, *, service: str, region: str) -> Tracing:
    """Spans go to the OTLP collector at `endpoint`, in batches from a bounded queue that drops rather than waits."""
    tracing = Tracing(service=service, region=region)
    if endpoint is not None:
        exporter = OTLPSpanExporter(endpoint=_traces_url(endpoint), timeout=_EXPORT_WITHIN.total_seconds())
        tracing.tell(
            BatchSpanProcessor(
                exporter,
                max_queue_size=_QUEUE,
                max_export_batch_size=_BATCH,
                schedule_delay_millis=_DELAY.total_seconds() * 1_000,
            )
        )
    return tracing


def _parent(trace: Trace) -> Context:
    context = SpanContext(
        trace_id=int(trace.trace_id, 16), span_id=int(trace.parent_id, 16), is_remote=True, trace_flags=TraceFlags(1)
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


def _traces_url(endpoint: str) -> str:
    """A collector's address, as people write it, with the path where it takes traces."""
    return endpoint if urlsplit(endpoint).path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
