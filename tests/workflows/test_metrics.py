"""Every metric that `docs/metrics.md` names and does not call "not yet" is found in a scrape of a real process."""

import re
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from temporalio.client import WorkflowFailureError
from temporalio.worker import Worker

import outside
from api.app import create
from domain.base import ExecutionId, PipelineId
from domain.refs import RunRef
from stack import ports
from tests.engine import until
from workflows.client import connect
from workflows.pipeline import PipelineWorkflow

DOCUMENT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:suture|temporal)_[a-z_]+)", DOCUMENT)))


async def _page(url):
    async with httpx2.AsyncClient() as client:
        return (await client.get(url)).text


async def _of_the_worker(world):
    """The page of the process whose workers serve every queue, once its relay has looked at the outbox."""
    port = ports.choose(0)[0]
    close = world.parts.metrics.serve(port)
    url = f"http://127.0.0.1:{port}/metrics"
    try:
        await until(lambda: _has(url, "suture_activity_seconds_count"), why="an activity is counted")
        return await _page(url)
    finally:
        close()


async def _has(url, name):
    return name in await _page(url)


async def _of_the_api(world):
    app = create(world.services, world.settings, registry=CollectorRegistry())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api") as client:
        await client.get("/healthz")
        return (await client.get("/metrics")).text


async def _of_the_sdk(world, tenant):
    """A worker of its own queue with the SDK's page, after it has served one workflow that fails at once."""
    port, queue = ports.choose(0)[0], f"metrics-{uuid4().hex}"
    runtime = outside.runtime(world.settings.model_copy(update={"metrics_port": port}))
    client = await connect(world.settings.temporal_address, world.client.data_converter, runtime=runtime)
    ref = RunRef(org=tenant.org, pipeline=PipelineId(int=1), execution=ExecutionId(int=3))
    async with Worker(client, task_queue=queue, workflows=[PipelineWorkflow]):
        with pytest.raises(WorkflowFailureError):
            await client.execute_workflow(PipelineWorkflow.run, ref, id=ref.workflow_id, task_queue=queue)
        return await _page(f"http://127.0.0.1:{port}/metrics")


async def test_every_metric_that_is_documented_can_be_scraped(world, tenant):
    """No name in the document is a promise."""
    pages = [await _of_the_sdk(world, tenant), await _of_the_worker(world), await _of_the_api(world)]
    found = set(re.findall(r"^((?:suture|temporal)_[a-z_]+)", "\n".join(pages), re.MULTILINE))
    assert [name for name in NAMED if name not in found and f"{name}_count" not in found] == []


async def test_the_outbox_is_measured(world):
    """Depth and age are what the relay's role sees, never below nought."""
    depth, oldest = await world.parts.relay._outbox.waiting()
    assert depth >= 0
    assert oldest.total_seconds() >= 0
