"""While a remediation waits for its evidence: the breach, and the evidence that never comes."""

from datetime import timedelta

from domain.execution import RunStatus
from domain.incident import Status
from domain.outcome import RemediationOutcome
from domain.plan import PlanStatus


async def _held(scene):
    run = await scene.break_and_run()
    approval = await scene.approval()
    scene.hold("check")
    await scene.decide(approval)
    await scene.until_held("check")
    return run, scene.remediation_of((await scene.plans(run.incident))[0])


async def test_a_fix_that_does_not_help_is_undone(scene):
    """The resumed stage fails again: the config is exactly version 2 once more, and the run waits for a person."""
    before = await scene.configure("valeu")
    run, remediation = await _held(scene)
    assert (await scene.current()).version == 1
    scene.release("check", failing=True)
    await scene.until_incident(run.incident, Status.ROLLED_BACK)
    assert await remediation.result() == RemediationOutcome.ROLLED_BACK
    after = await scene.current()
    assert (after.version, after.config) == (before.version, before.config)
    assert (await scene.plans(run.incident))[0].status is PlanStatus.ROLLED_BACK
    assert (await scene.run(run.id)).status is RunStatus.WAITING
    await (await scene.story_of(run.incident)).result()
    assert (await scene.incident(run.incident)).status is Status.ROLLED_BACK
    assert len(await scene.plans(run.incident)) == 1


async def test_evidence_that_does_not_come_in_time_proves_nothing(set_scene):
    """When the run may wait no longer the verdict is inconclusive, which is no success: a person has to look."""
    scene = await set_scene(heal_within="30m")
    run, remediation = await _held(scene)
    await scene.advance(timedelta(minutes=31), remediation)
    assert await remediation.result() == RemediationOutcome.INCONCLUSIVE
    await scene.until_incident(run.incident, Status.NEEDS_HUMAN)
    assert "remediation.judged_inconclusive" in await scene.actions(run.incident)
