"""One story is one trace, its spans are named as the stages are, and what cannot be mended is not asked again."""

import contextlib
from collections import Counter
from uuid import uuid4

import httpx2
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError

from activities.headers import trace_in
from api.app import create
from domain.approval import ApprovalStatus, Choice
from domain.audit import AuditFilter
from domain.base import ExecutionId, PipelineId
from domain.execution import RunStatus
from domain.identity import Role
from domain.incident import Status
from domain.refs import RunRef
from domain.trace import Trace, current_trace
from tests.engine import until
from tests.pipelines import a_spec, apply
from workflows.pipeline import PipelineWorkflow


@pytest.fixture
def spans(world):
    exporter = InMemorySpanExporter()
    world.parts.tracing.tell(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


@contextlib.contextmanager
def a_request(trace):
    """What the API binds around a request."""
    token = current_trace.set(trace)
    try:
        yield
    finally:
        current_trace.reset(token)


async def _healed(world, tenant, add_person, trace):
    """A run that fails, waits, is approved and ends; started inside `trace`."""
    author = await add_person(tenant, Role.AUTHOR, Role.OPERATOR)
    approver = await add_person(tenant, Role.APPROVER)
    services = world.services
    pipeline = await apply(services, author, a_spec())
    healthy = await services.runs.start(author, pipeline.id)

    async def ended(execution):
        return (await services.runs.get(author, execution)).execution.status.is_final

    await until(lambda: ended(healthy.id), why="the healthy run ends")
    await services.pipelines.configure(author, pipeline.id, {"column": "valeu"})
    with a_request(trace):
        broken = await services.runs.start(author, pipeline.id)

    async def asked():
        return bool(await services.approvals.page(author, status=ApprovalStatus.OPEN, after=None, limit=10))

    await until(asked, why="an approval is asked for")
    approval = (await services.approvals.page(author, status=ApprovalStatus.OPEN, after=None, limit=10))[0]
    await services.approvals.submit(approver, approval.id, Choice.APPROVE, reason="looks right")
    await until(lambda: ended(broken.id), why="the healed run ends")
    run = (await services.runs.get(author, broken.id)).execution
    assert run.status is RunStatus.SUCCEEDED

    async def closed():
        return (await services.incidents.get(author, run.incident)).status is Status.VERIFIED

    await until(closed, why="the incident closes")
    return run


async def test_one_story_is_one_trace_from_request_to_verdict(world, tenant, add_person, spans):
    """Run, letters, incident, remediation and every stage between share the trace id of the request that began it."""
    trace = Trace(trace_id=uuid4().hex, correlation_id="req-of-the-story")
    run = await _healed(world, tenant, add_person, trace)
    told = [each for each in spans.get_finished_spans() if each.attributes.get("suture.org") == tenant.org.shown]
    counted = Counter(each.name for each in told)
    assert set(counted) == {"signal.ingest", "rca.hypothesize", "fix.plan", "preflight", "execute", "verify"}
    assert {f"{each.context.trace_id:032x}" for each in told} == {trace.trace_id} == {run.trace_id}
    assert {f"{each.parent.span_id:016x}" for each in told} >= {trace.parent_id}
    starts = {}
    for each in told:
        starts.setdefault(each.name, each.start_time)
    assert sorted(starts, key=starts.get) == ["signal.ingest", "rca.hypothesize", "fix.plan", "preflight", "execute", "verify"]
    page = await world.services.audit.page(tenant.org, AuditFilter(), limit=200)
    judged = next(each for each in page if each.action == "remediation.judged_pass")
    assert judged.trace_id == trace.trace_id


async def test_a_workflow_without_a_trace_is_its_own(world, tenant, add_person, spans):
    """Two stories that nobody traced do not share an id, and each is whole."""
    author = await add_person(tenant, Role.AUTHOR, Role.OPERATOR)
    pipeline = await apply(world.services, author, a_spec(column="valeu"))
    run = await world.services.runs.start(author, pipeline.id)
    assert run.trace_id is None

    async def planned():
        return any(each.name == "fix.plan" and _of(each, tenant) for each in spans.get_finished_spans())

    await until(planned, why="a fix is looked for")
    told = [each for each in spans.get_finished_spans() if _of(each, tenant)]
    assert len({each.context.trace_id for each in told}) == 1


async def test_a_refusal_that_no_repetition_mends_ends_the_activity_at_once(world, tenant):
    """An execution that does not exist is `not_found`, non-retryable, after one attempt."""
    ref = RunRef(org=tenant.org, pipeline=PipelineId(int=1), execution=ExecutionId(int=2))
    handle = await world.client.start_workflow(PipelineWorkflow.run, ref, id=ref.workflow_id, task_queue="scheduler")
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    activity = failed.value.cause
    assert isinstance(activity, ActivityError)
    assert isinstance(activity.cause, ApplicationError)
    assert (activity.cause.type, activity.cause.non_retryable) == ("not_found", True)


def _of(span, tenant):
    return span.attributes.get("suture.org") == tenant.org.shown


async def test_a_request_is_a_span_of_its_callers_trace_and_what_it_starts_joins(world, tenant, add_person):
    """`POST /events` is `signal.ingest`; a run that is asked for by HTTP carries the caller's trace into its workflow."""
    exporter = InMemorySpanExporter()
    world.services.spans.tell(SimpleSpanProcessor(exporter))
    author = await add_person(tenant, Role.AUTHOR, Role.OPERATOR)
    pipeline = await apply(world.services, author, a_spec())
    trace = uuid4().hex
    sent = {"Authorization": f"Bearer {tenant.token}", "traceparent": f"00-{trace}-{'1' * 16}-01", "X-Request-ID": "r-1"}
    app = create(world.services, world.settings, registry=CollectorRegistry())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api", headers=sent) as client:
        took = await client.post("/api/v1/events", json={"event_type": "deploy"})
        started = await client.post(f"/api/v1/pipelines/{pipeline.id.shown}/runs")
        assert (took.status_code, started.status_code) == (201, 202), (took.text, started.text)
    spans = {each.name: each for each in exporter.get_finished_spans()}
    asked = spans["POST /pipelines/{pipeline_id}/runs"]
    assert {f"{each.context.trace_id:032x}" for each in (spans["signal.ingest"], asked)} == {trace}
    run = RunRef(org=tenant.org, pipeline=pipeline.id, execution=ExecutionId.of(started.json()["id"]))
    handle = world.client.get_workflow_handle(run.workflow_id)
    await until(lambda: _exists(handle), why="the relay starts the run")
    begun = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    found = trace_in(dict(begun.header.fields), workflow_id=run.workflow_id, run_id=str(uuid4()))
    assert (found.trace_id, found.span_id, found.correlation_id) == (trace, f"{asked.context.span_id:016x}", "r-1")


async def _exists(handle):
    try:
        await handle.describe()
    except RPCError:
        return False
    return True
