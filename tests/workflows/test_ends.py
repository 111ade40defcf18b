"""Ends that a story rarely comes to: a run that is not there, a worker that is lost, an event that comes as it closes."""

from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError

from domain.base import ExecutionId
from domain.execution import RunStatus
from domain.incident import Status
from domain.refs import IncidentRef, RunRef
from tests.engine import until
from tests.workflows.locks import RUN, locked
from workflows.incident import IncidentWorkflow


async def test_the_start_of_a_run_that_is_not_there_ends(scene):
    """Whoever reaches the engine can start anything: what the database does not know is abandoned, and stores nothing."""
    ref = RunRef(org=scene.tenant.org, pipeline=scene.pipeline.id, execution=ExecutionId(int=uuid4().int))
    before = len(await scene.services.runs.page(scene.author, pipeline=None, status=None, after=None, limit=50))
    await scene.services.approvals._engine.start_run(ref)
    with pytest.raises(WorkflowFailureError):
        await scene.handle(ref.workflow_id).result()
    assert len(await scene.services.runs.page(scene.author, pipeline=None, status=None, after=None, limit=50)) == before


async def test_an_event_that_comes_as_the_incident_closes_is_looked_at_by_the_next_story(scene, superuser):
    """The story has told its end and hears one more event: it begins anew, finds that nothing is open, and ends the same."""
    run = await scene.break_and_run()
    other = await scene.until_run((await scene.start()).id, RunStatus.WAITING)
    approval = await scene.approval()
    story = await scene.story_of(run.incident)
    async with locked(superuser, RUN, org=scene.tenant.org, id=other.id) as waiters:
        await scene.decide(approval)
        await until(lambda: waiters(1), why="the incident closes")
        carrier = (await scene.incident(run.incident)).carrier
        await scene.services.approvals._engine.wake_incident(IncidentRef(org=scene.tenant.org, id=run.incident), carrier)
    assert await story.result() == Status.VERIFIED
    first = (await story.describe()).raw_description.workflow_execution_info.first_run_id
    history = await scene.world.client.get_workflow_handle_for(IncidentWorkflow.run, carrier, run_id=first).fetch_history()
    assert history.events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
    assert (await scene.actions(run.incident)).count("incident.verified") == 1
    await scene.until_run(other.id, RunStatus.SUCCEEDED)
