"""Every metric that `docs/metrics.md` names and does not call "not yet" is found in a scrape of real processes."""

import re
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from temporalio.client import WorkflowFailureError

from domain.base import ExecutionId, PipelineId
from domain.refs import RunRef
from stack import ports
from tests.engine import until
from tests.processes import answers, environment, serving
from workflows.pipeline import PipelineWorkflow

DOCUMENT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:suture|temporal)_[a-z_]+)", DOCUMENT)))


@pytest.fixture
async def pages(world, tmp_path):
    """The pages of a worker and of an API: what each counts, and what the engine's SDK measures in the worker."""
    api, own, sdk = ports.choose(0, 0, 0)
    urls = [f"http://127.0.0.1:{port}/metrics" for port in (api, own, sdk)]
    queues = {"SUTURE_QUEUES": "scheduler,io", "SUTURE_READY_FILE": str(tmp_path / "ready")}
    shown = {"SUTURE_WORKER_METRICS_PORT": str(own), "SUTURE_METRICS_PORT": str(sdk), "SUTURE_API_PORT": str(api)}
    variables = environment(world.settings) | queues | shown

    async def serves():
        return (tmp_path / "ready").exists()

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving("worker", variables, tmp_path, serves))
        quiet = variables | {"SUTURE_METRICS_PORT": "0"}
        await stack.enter_async_context(serving("api.app", quiet, tmp_path, lambda: answers(urls[0])))
        yield urls


async def _named(urls):
    async with httpx2.AsyncClient() as client:
        text = "\n".join([(await client.get(url)).text for url in urls])
    return set(re.findall(r"^((?:suture|temporal)_[a-z_]+)", text, re.MULTILINE))


async def _missing(urls):
    found = await _named(urls)
    return [name for name in NAMED if name not in found and f"{name}_count" not in found]


async def _one_run(world, tenant):
    """A run that nobody has stored fails at once; whichever worker is free serves it."""
    ref = RunRef(org=tenant.org, pipeline=PipelineId(int=1), execution=ExecutionId(int=uuid4().int))
    with pytest.raises(WorkflowFailureError):
        await world.client.execute_workflow(PipelineWorkflow.run, ref, id=ref.workflow_id, task_queue="scheduler")


async def test_every_metric_that_is_documented_can_be_scraped(world, tenant, pages):
    """No name in the document is a promise."""
    missing = []

    async def all_are_there():
        await _one_run(world, tenant)
        missing[:] = await _missing(pages)
        return not missing

    await until(all_are_there, why=f"every metric is shown: {missing}")


async def test_the_outbox_is_measured(world):
    """Depth and age are what the relay's role sees, never below nought."""
    depth, oldest = await world.parts.relay._outbox.waiting()
    assert depth >= 0
    assert oldest.total_seconds() >= 0
