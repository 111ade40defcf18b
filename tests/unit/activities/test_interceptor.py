"""What the interceptor does around any activity: trace, span, count, and the engine's word for a refusal."""

import io
import json
import logging
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import generate_latest
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.headers import headers_of, trace_in
from activities.interceptor import STAGES, ObservedActivities
from adapters.logs import JsonFormatter, JsonHandler
from adapters.metrics import PrometheusMetrics
from adapters.otel import Tracing
from domain import errors
from domain.base import OrgId, PlanId
from domain.outcome import StepRef
from domain.plan import Direction
from domain.refs import PlanRef
from domain.trace import Trace, current_trace

ORG = OrgId(int=7)
RUN = "0b5e1f6a-7a39-4f4e-9d0a-1f2e3d4c5b6a"
STORY = Trace(trace_id="ab" * 16, correlation_id="req-7")


class Innermost(ActivityInboundInterceptor):
    def __init__(self, work):
        self._work = work

    async def execute_activity(self, input):  # noqa: A002 - the name is the engine's
        return self._work()


class Bench:
    """One activity at a time under the interceptor, with its spans and counts at hand."""

    def __init__(self):
        self.spans = InMemorySpanExporter()
        self.metrics = PrometheusMetrics()
        tracing = Tracing(service="tests", region="here")
        tracing.tell(SimpleSpanProcessor(self.spans))
        self._tracing = tracing

    async def run(self, work, *, activity="run_step", headers=None, args=()):
        environment = ActivityEnvironment()
        told = {"activity_type": activity, "workflow_id": f"fix/{ORG}/x", "workflow_run_id": RUN}
        environment.info = environment.info.__class__(**{**vars(environment.info), **told})
        observed = ObservedActivities(Innermost(work), self._tracing, self.metrics)
        given = ExecuteActivityInput(fn=work, args=args, executor=None, headers=headers or headers_of(STORY))
        return await environment.run(observed.execute_activity, given)


@pytest.fixture
def bench():
    return Bench()


def _leaves(kind) -> list[type[errors.HealError]]:
    return [kind, *(leaf for branch in kind.__subclasses__() for leaf in _leaves(branch))]


@pytest.mark.parametrize("org", [ORG, OrgId(int=8)])
async def test_an_argument_about_another_org_than_the_workflow_is_refused(bench, org):
    """Also one that is only named by a part of it; about its own org the activity is done."""
    ref = PlanRef(org=org, id=PlanId(int=1))
    for argument in (ref, StepRef(plan=ref, step=0, direction=Direction.DO)):
        if org == ORG:
            assert await bench.run(lambda: "done", args=(argument,)) == "done"
            continue
        with pytest.raises(ApplicationError) as refused:
            await bench.run(lambda: "done", args=(argument,))
        assert (refused.value.type, refused.value.non_retryable) == ("forbidden", True)


@pytest.mark.parametrize("kind", [each for each in _leaves(errors.HealError) if each.__module__ == "domain.errors"])
async def test_a_refusal_reaches_the_engine_as_its_code_and_is_retried_only_where_that_helps(bench, kind):
    """Type, message and retryability of every error of ours survive the way through the engine."""

    def refuse():
        raise kind("the sentence")

    with pytest.raises(ApplicationError) as refused:
        await bench.run(refuse)
    assert (refused.value.type, refused.value.message) == (kind.code, "the sentence")
    assert refused.value.non_retryable is not kind.retryable


async def test_what_is_not_ours_stays_as_it_is(bench, caplog):
    """A bug is no refusal: the engine sees the exception itself and asks again; log and metric show every try."""

    def fail():
        raise KeyError("oops")

    with pytest.raises(KeyError):
        await bench.run(fail)
    assert current_trace.get() is None
    assert [(each.levelname, each.message, each.activity) for each in caplog.records if each.name == "suture.activities"] == [
        ("ERROR", "activity is broken", "run_step")
    ]
    page = generate_latest(bench.metrics.registry).decode()
    assert 'suture_activity_seconds_count{activity="run_step",outcome="broken"} 1.0' in page


async def test_inside_an_activity_trace_correlation_and_org_are_bound(bench):
    """The trace comes with the header, the org from the workflow's id, and both are gone afterwards."""
    seen = await bench.run(current_trace.get)
    assert (seen.trace_id, seen.correlation_id, seen.org) == (STORY.trace_id, STORY.correlation_id, ORG)
    assert current_trace.get() is None


async def test_a_stage_has_one_span_under_its_requests_trace(bench):
    """`run_step` is spanned as `execute`, below the span that was carried."""
    await bench.run(lambda: None)
    (span,) = bench.spans.get_finished_spans()
    assert (span.name, f"{span.context.trace_id:032x}") == ("execute", STORY.trace_id)
    assert f"{span.parent.span_id:016x}" == STORY.parent_id
    assert span.attributes["suture.org"] == ORG.shown


async def test_keeping_records_has_no_span(bench):
    """Only what the specs name is spanned."""
    await bench.run(lambda: None, activity="begin_run")
    assert bench.spans.get_finished_spans() == ()


async def test_a_failed_stage_shows_its_code_and_not_its_words(bench):
    """A span's status never holds what was submitted."""

    def refuse():
        raise errors.StoppedError("hunter2")

    with pytest.raises(ApplicationError):
        await bench.run(refuse)
    (span,) = bench.spans.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "stopped")
    assert "hunter2" not in span.to_json()


async def test_every_end_is_counted_by_its_kind(bench):
    """Done, refused by code, and failed are three series."""

    def refuse():
        raise errors.NotFoundError("gone")

    await bench.run(lambda: None)
    with pytest.raises(ApplicationError):
        await bench.run(refuse)
    page = generate_latest(bench.metrics.registry).decode()
    assert 'suture_activity_seconds_count{activity="run_step",outcome="done"} 1.0' in page
    assert 'suture_activity_seconds_count{activity="run_step",outcome="not_found"} 1.0' in page


async def test_a_line_logged_by_a_worker_says_org_trace_and_correlation_and_hides_secrets(bench):
    """Workers log as the API does."""
    stream = io.StringIO()
    handler = JsonHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.Logger("suture.tests")  # noqa: LOG001 - outside the tree, so that no other handler sees it
    logger.addHandler(handler)
    await bench.run(lambda: logger.warning("stage ended", extra={"token": "hunter2"}))
    line = json.loads(stream.getvalue())
    assert (line["org"], line["trace_id"], line["correlation_id"]) == (ORG.shown, STORY.trace_id, "req-7")
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[1]", b'"00-' + b"0" * 32 + b'-1111111111111111-01"', b'"' + b"a" * 999 + b'"', b'"ff"']
)
def test_a_malformed_header_counts_as_none(data):
    """Whoever reaches the engine's port can send one; the workflow is then its own trace."""
    sent = {"traceparent": Payload(data=data), "correlation": Payload(data=b'"a b"')}
    found = trace_in(sent, workflow_id="odd", run_id=RUN)
    assert (found.trace_id, found.correlation_id, found.org) == (RUN.replace("-", ""), RUN, None)


def test_what_is_carried_arrives():
    """A trace survives the engine's headers, with the org of whoever serves it."""
    sent = Trace(trace_id=uuid4().hex, correlation_id="c-1", span_id="12" * 8)
    assert trace_in(headers_of(sent), workflow_id=f"inc/{ORG}/x", run_id=RUN) == sent.model_copy(update={"org": ORG})


def test_stages_are_named_as_in_the_specs():
    """No span is called anything else."""
    named = {"signal.ingest", "anomaly.detect", "correlate", "rca.hypothesize", "rag.search", "fix.plan", "preflight"}
    assert set(STAGES.values()) <= named | {"execute", "verify", "export"}
