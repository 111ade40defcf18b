"""The rows of a story keep to the moves that it has, whoever asks for another."""

import pytest

from domain.approval import Choice
from domain.errors import ConflictError
from domain.execution import RunStatus
from domain.incident import Status
from domain.plan import PlanStatus
from storage import executions, incidents, plans


async def test_what_has_ended_is_not_begun_again(scene):
    """A rejected plan is not granted, the incident is not worked on, and the failed run does not run, nor succeed."""
    run = await scene.break_and_run()
    await scene.decide(await scene.approval(), Choice.REJECT)
    await scene.until_run(run.id, RunStatus.FAILED)
    incident = await scene.until_incident(run.incident, Status.REJECTED)
    (rejected,) = await scene.plans(run.incident)
    moves = [
        lambda session: plans.set_status(session, rejected.plan.id, PlanStatus.GRANTED),
        lambda session: incidents.move(session, incident, Status.DIAGNOSING),
        lambda session: executions.change(session, run.id, status=RunStatus.RUNNING),
        lambda session: executions.change(session, run.id, status=RunStatus.SUCCEEDED),
    ]
    for move in moves:
        with pytest.raises(ConflictError, match="cannot become"):
            async with scene.world.database.transaction(scene.tenant.org) as session:
                await move(session)
    assert (await scene.run(run.id)).status is RunStatus.FAILED
    assert (await scene.plans(run.incident))[0].status is PlanStatus.REJECTED
    assert (await scene.incident(run.incident)).status is Status.REJECTED
