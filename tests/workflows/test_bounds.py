"""What a run waits for, reads and may do has a bound, also where a row does not say so."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from domain.execution import HealingState, RunStatus, Tried
from domain.refs import RunRef, StageRef
from domain.signal import Signal, SignalKind
from services.guard import Guard
from services.ledger import Ledger
from services.stages import Stages
from storage import executions

FORGET = text("update executions set heal_by = null where id = :run")
MARK = r"<[A-Z_]+:[0-9a-f]{8}>"
SECOND_ORG = text("update orgs set is_first = false where id = :org")


@pytest.fixture
def stages(world):
    """The stages of a worker that root did not start."""
    guard = Guard(region="local", keeps_orgs_apart=False)
    return Stages(world.database, Ledger(), guard, world.services.secrets, None, None, lease=timedelta(seconds=2))


async def test_a_run_that_waits_without_an_end_gets_one(scene, superuser):
    """It is looked at again when its time is over, not every second."""
    run = await scene.break_and_run()
    async with superuser.begin() as connection:
        await connection.execute(FORGET, {"run": run.id})
    ref = RunRef(org=scene.tenant.org, pipeline=run.pipeline, execution=run.id)
    healing = await scene.services.runs.healing(ref)
    assert healing.state is HealingState.WAITING
    assert healing.look_again_in > timedelta(minutes=1)
    assert (await scene.run(run.id)).heal_by is not None


async def test_whoever_does_not_read_what_a_stage_printed_does_not_load_it(scene):
    """Everything else about the attempts is the same."""
    run = await scene.break_and_run()
    async with scene.world.database.transaction(scene.tenant.org) as session:
        whole = await executions.attempts(session, run.id)
        light = await executions.attempts_without_output(session, run.id)
    silent = {"head": "", "tail": ""}
    assert any(each.result and each.result.head for each in whole)
    assert light == [
        each.model_copy(update={"result": each.result and each.result.model_copy(update=silent)}) for each in whole
    ]


async def test_a_second_orgs_stage_is_refused_where_it_would_run_as_the_worker(scene, stages, superuser):
    """Before the intent, so that there is no attempt; the run fails with the reason."""
    run = await scene.break_and_run()
    before = (await scene.services.runs.get(scene.author, run.id)).attempts
    async with superuser.begin() as connection:
        await connection.execute(SECOND_ORG, {"org": scene.tenant.org})
    ref = StageRef(org=scene.tenant.org, execution=run.id, stage="check", claim=uuid4())
    assert await stages.run(ref, heartbeat=lambda: None) is Tried.FORBIDDEN
    found = await scene.services.runs.get(scene.author, run.id)
    assert found.attempts == before
    assert found.execution.status is RunStatus.WAITING


async def test_credentials_in_a_signal_are_not_stored(scene):
    """Text, labels and payload come back without them; a mark stands in their place, the same for the same value."""
    given = Signal(
        source="tests",
        kind=SignalKind.EVENT,
        ts=datetime.now(UTC),
        text="login with password=hunter2",
        labels={"url": "db://u:hunter2@h"},
        payload={"headers": [{"Authorization": "Basic aHVudGVyMg=="}], "size": 3},
    )
    (received,) = await scene.services.intake.receive(scene.tenant.admin, [given])
    stored = await scene.services.intake.get(scene.tenant.admin, received.event_id)
    assert re.fullmatch(rf"login with password={MARK}", stored.text)
    assert re.fullmatch(rf"db://u:{MARK}@h", stored.labels["url"])
    (headers,) = stored.payload.pop("headers")
    assert re.fullmatch(MARK, headers["Authorization"])
    assert stored.payload == {"size": 3}
