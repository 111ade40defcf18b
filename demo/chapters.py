"""Chapters 1 to 3 and 5: a healthy run, a bad config change, a flaky upstream, a change nobody may make."""

import re
from typing import Any

from demo.breakage import Breakage
from demo.people import refusal
from demo.scene import Scene, apply, asked, ended, incident_is, run, waiting
from demo.upstream import Upstream
from domain.pipeline import PipelineSpec


async def healthy_run(scene: Scene, spec: PipelineSpec, *, runs: int) -> str:
    """Chapter 1: every stage passes on v1, and the target has one effect per run."""
    pipeline = (await apply(scene.cast.ana, spec, scene.material.code))["id"]
    for _ in range(runs):
        execution = await run(scene.cast.omar, pipeline)
        status = (await ended(scene.cast.omar, execution))["status"]
        scene.say(f"  run [bold]{execution}[/bold] on v1: {status}")
        scene.expect(status == "succeeded", f"the healthy run {execution} is {status}")
    return str(pipeline)


async def bad_config(scene: Scene, pipeline: str, spec: PipelineSpec, broken: Breakage) -> None:
    """Chapter 2: v2 renames a column; the run fails, waits, and goes on once v1 is back."""
    scene.say(f"  ana changes {broken.key}: {broken.before} -> {broken.after}; stage {broken.expected_stage} will not find it")
    await scene.cast.ana.patch(f"/pipelines/{pipeline}", {"config": dict(broken.applied(spec).config)})
    execution = await run(scene.cast.omar, pipeline)
    failed = await waiting(scene.cast.omar, execution)
    incident = failed["incident_id"]
    scene.incidents.append(incident)
    scene.say(f"  stage {failed['failed_stage']} failed; the run waits for incident [bold]{incident}[/bold]")
    scene.expect(
        failed["failed_stage"] == broken.expected_stage, f"stage {failed['failed_stage']} failed, not {broken.expected_stage}"
    )
    plan, approval = await asked(scene.cast.omar, incident)
    await _diagnosed(scene, incident, spec, broken)
    _planned(scene, plan)
    await _refused(scene, approval)
    await scene.cast.petra.patch(f"/approvals/{approval['id']}", {"choice": "approve", "notes": "v1 is the last that passed"})
    scene.say("  petra, who had no hand in it, approves")
    healed = await ended(scene.cast.omar, execution)
    scene.expect(healed["status"] == "succeeded", f"the healed run is {healed['status']}")
    scene.expect(healed["config_version"] == 1, f"the healed run used v{healed['config_version']}")
    closed = await incident_is(scene.cast.omar, incident, "verified", "needs_human", "rolled_back")
    scene.expect(closed["status"] == "verified", f"the incident ended as {closed['status']}")
    scene.say(f"  the same run went on on v1 and its failed stage passed: incident {closed['status']}")


async def flaky_upstream(scene: Scene, spec: PipelineSpec) -> None:
    """Chapter 3: in dev a 503 is healed by a retry without a person, once an operator has released the automatic mode."""
    held = await scene.cast.omar.get("/automatic")
    scene.expect(not held["released"], "the automatic mode did not boot held")
    scene.say(f"  the automatic mode boots {'released' if held['released'] else 'held'}; omar releases it")
    await scene.cast.omar.put("/automatic", {"released": True})
    with Upstream(scene.material.code / "data") as upstream:
        config = {**spec.config, "source": upstream.url}
        spec = PipelineSpec.model_validate({**spec.model_dump(), "config": config})
        pipeline = (await apply(scene.cast.ana, spec, scene.material.code))["id"]
        await ended(scene.cast.omar, await run(scene.cast.omar, pipeline))
        upstream.fail_next(1)
        execution = await run(scene.cast.omar, pipeline)
        healed = await ended(scene.cast.omar, execution)
    scene.expect(healed["status"] == "succeeded", f"the run against a flaky upstream is {healed['status']}")
    if healed["incident_id"] is None:
        scene.expect(False, "the upstream's 503 opened no incident")
        return
    scene.incidents.append(healed["incident_id"])
    await incident_is(scene.cast.omar, healed["incident_id"], "verified")
    plan = (await scene.cast.omar.items(f"/incidents/{healed['incident_id']}/plans"))[0]
    scene.say(f"  503, then healed by {plan['action']} with confidence {plan['confidence']:.2f}, nobody was asked")
    scene.expect(plan["action"] == "retry_stage", f"the plan was {plan['action']}")


async def stale_plan(scene: Scene, pipeline: str, spec: PipelineSpec, broken: Breakage) -> None:
    """Chapter 5: what was approved is no longer what is there, so it is refused and a new plan takes its place."""
    incident = await _rest_by_switch(scene, pipeline, spec, broken)
    plan = await scene.cast.omar.post("/fix/plan", {"incident_id": incident, "mode": "suggest"})
    await asked(scene.cast.omar, incident, plan=plan["id"])
    await scene.cast.petra.post("/fix/approve", {"plan_id": plan["id"]})
    scene.say(f"  plan {plan['id']} is approved and waits for an operator; ana edits the config by hand")
    by_hand = {**broken.applied(spec).config, broken.key: f"{broken.after}_by_hand"}
    await scene.cast.ana.patch(f"/pipelines/{pipeline}", {"config": by_hand})
    code = await refusal(scene.cast.omar.post("/fix/execute", {"plan_id": plan["id"], "runner": "agent"}))
    scene.say(f"  omar executes: refused as {code}")
    scene.expect(code == "stale_plan", f"executing a stale plan was answered {code}")
    newer, again = await asked(scene.cast.omar, incident)
    scene.expect(newer["supersedes"] == plan["id"], "no new plan took the old one's place")
    scene.say(f"  plan {newer['id']} supersedes it and asks again; petra rejects that one")
    await scene.cast.petra.patch(f"/approvals/{again['id']}", {"choice": "reject"})
    await incident_is(scene.cast.omar, incident, "rejected")


async def _diagnosed(scene: Scene, incident: str, spec: PipelineSpec, broken: Breakage) -> None:
    top = (await scene.cast.omar.items(f"/incidents/{incident}/hypotheses"))[0]
    pieces = {piece["id"]: piece for piece in await scene.cast.omar.items(f"/incidents/{incident}/evidence")}
    kinds = {name: piece["kind"] for name, piece in pieces.items()}
    support = sorted({kinds[each] for each in top["support"]})
    scene.say(f"  why: [bold]{top['statement']}[/bold] ({top['confidence']:.0%}), by {', '.join(support)}")
    counter = [pieces[each]["excerpt"] for each in top["counter"]]
    scene.say(f"  against another cause: {'; '.join(counter)}")
    named = re.fullmatch(r"configuration drift in v2, key (\S+), changed [\d.]+ s before stage \S+ failed", top["statement"])
    scene.expect(named is not None and named[1] == broken.key, f"the diagnosis says: {top['statement']}")
    scene.expect(len(support) >= 2, f"only {support} supports the diagnosis")
    has_inputs = any(stage.needs for stage in spec.stages if stage.name == broken.expected_stage)
    data = " on the same data" if has_inputs else ""  # nobody can know that of a stage that reads from elsewhere
    is_shown = any(f"passed every stage on version 1{data}" in each for each in counter)
    scene.expect(is_shown, f"no counter-example{data}: {counter}")


def _planned(scene: Scene, plan: dict[str, Any]) -> None:
    scene.say(f"  plan: {plan['summary']}")
    left_out = {each["action"]: each["reason"] for each in plan["excluded"]}
    scene.say(f"  no retry: {left_out.get('retry_stage', 'not considered')}")
    scene.expect(plan["action"] == "rollback_config" and "retry_stage" in left_out, f"the plan is {plan['action']}")
    rehearsed = (plan["preflight"] or {}).get("dry_runs", [])
    for dry in rehearsed:
        scene.say(f"  dry-run ({dry['fidelity']}): {dry['output']}")
    scene.expect(bool(rehearsed) and all(dry["passed"] for dry in rehearsed), "the dry-runs did not pass")
    preflight = plan["preflight"] or {}
    reasons = preflight.get("reasons", [])
    scene.say(f"  policy: {preflight.get('tier')}, because {reasons[-1]['msg'] if reasons else 'it says so'}")
    scene.say(f"  drift: {len(preflight.get('drift', []))} of {len(plan['steps'])} targets")
    scene.expect(preflight.get("tier") == "human", f"policy answered {preflight.get('tier')} for production")


async def _refused(scene: Scene, approval: dict[str, Any]) -> None:
    for name, who in (("omar, who started the run", scene.cast.omar), ("ana, who wrote v2", scene.cast.ana)):
        code = await refusal(who.patch(f"/approvals/{approval['id']}", {"choice": "approve"}))
        scene.say(f"  {name}, may not approve: {code}")
        scene.expect(code == "separation_of_duties", f"{name}: {code}")


async def _rest_by_switch(scene: Scene, pipeline: str, spec: PipelineSpec, broken: Breakage) -> str:
    """An incident whose first plan a kill switch has blocked; the switch is released again."""
    await scene.cast.ana.patch(f"/pipelines/{pipeline}", {"config": dict(broken.applied(spec).config)})
    action = {"level": "action", "subject": "rollback_config"}
    await scene.cast.omar.put("/kill-switches", {**action, "is_active": True, "reason": "change freeze"})
    execution = await run(scene.cast.omar, pipeline)
    incident = str((await waiting(scene.cast.omar, execution))["incident_id"])
    scene.incidents.append(incident)
    await incident_is(scene.cast.omar, incident, "blocked")
    scene.say("  a kill switch for rollback_config is engaged: the plan is blocked; an admin releases it again")
    await scene.cast.admin.put("/kill-switches", {**action, "is_active": False, "reason": "freeze over"})
    return incident
