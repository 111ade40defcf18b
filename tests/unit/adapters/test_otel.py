"""Spans leave in OTLP for the collector the settings name, from a queue that never makes anybody wait."""

import asyncio
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from adapters.otel import open_tracing
from domain.trace import Trace, current_trace


class Collector(ThreadingHTTPServer):
    """Takes what an OTLP collector takes and keeps it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Taking)
        self.taken = []
        self.hold = Event()
        self.hold.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Taking(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.hold.wait(10)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Tests print nothing."""


@pytest.fixture
def collector():
    server = Collector()
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def trace():
    made = Trace(trace_id="cd" * 16, correlation_id="c-1")
    token = current_trace.set(made)
    yield made
    current_trace.reset(token)


async def test_spans_reach_the_collector_with_resource_and_parent(collector, trace):
    """Nested spans share the trace of the request; service and region are said once."""
    tracing = open_tracing(collector.url, service="suture-worker", region="north")
    with tracing.open("fix.plan"), tracing.open("preflight", attempt="1"):
        assert current_trace.get().trace_id == trace.trace_id
    await tracing.close()
    ((path, sent),) = collector.taken
    (group,) = sent.resource_spans
    resource = {each.key: each.value.string_value for each in group.resource.attributes}
    spans = {each.name: each for each in group.scope_spans[0].spans}
    assert path == "/v1/traces"
    assert (resource["service.name"], resource["cloud.region"]) == ("suture-worker", "north")
    assert {each.trace_id.hex() for each in spans.values()} == {trace.trace_id}
    assert spans["preflight"].parent_span_id == spans["fix.plan"].span_id
    assert spans["fix.plan"].parent_span_id.hex() == trace.parent_id


async def test_a_collector_that_hangs_holds_up_nobody(collector, trace):
    """Far more spans than the queue holds are opened and closed while nothing is taken."""
    collector.hold.clear()
    tracing = open_tracing(collector.url, service="s", region="r")
    async with asyncio.timeout(5):
        for _ in range(5_000):
            with tracing.open("execute"):
                pass
    collector.hold.set()
    await tracing.close()


async def test_without_a_collector_nothing_is_kept_and_ids_are_still_given(trace):
    """A process without the setting traces all the same, so that logs and letters carry span ids."""
    tracing = open_tracing(None, service="s", region="r")
    with tracing.open("verify"):
        assert current_trace.get().span_id is not None
    assert current_trace.get().span_id is None
    await tracing.close()
