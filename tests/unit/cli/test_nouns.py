"""What the nouns send and show."""

import base64
import json
from pathlib import Path

from tests.unit.cli.conftest import Stub, Suture, listed

FILE = """
pipeline: tiny
environment: dev
owner: data
code: src
stages:
  - name: one
    run: [python, one.py]
"""
PIPELINES = "GET /pipelines?limit=200"
PLAN = {
    "id": "plan_1",
    "status": "awaiting_approval",
    "digest": "d" * 64,
    "diff": "step 0: put v1 back\n+ set",
    "summary": "put v1 back",
    "excluded": [],
}
APPROVAL = {"id": "apr_1", "plan_id": "plan_1", "status": "open"}
OPEN = "GET /approvals?status=open&limit=200"


def pipeline_file(folder: Path) -> Path:
    (folder / "src" / "__pycache__").mkdir(parents=True)
    (folder / "src" / "one.py").write_text("print(1)\n")
    (folder / "src" / "__pycache__" / "one.pyc").write_text("x")
    (folder / "src" / "link").symlink_to("/etc/passwd")
    path = folder / "pipeline.yaml"
    path.write_text(FILE)
    return path


def test_apply_sends_file_and_code(stub: Stub, suture: Suture, tmp_path: Path):
    """A pipeline goes with the files of its code folder, and with nothing that merely lies about there."""
    stub.on("POST /pipelines", {"id": "pip_1", "name": "tiny", "version": 1}, status=201)
    assert suture("pipeline", "apply", str(pipeline_file(tmp_path))).exit_code == 0
    (sent,) = stub.bodies("POST /pipelines")
    assert sent["code"] == {"one.py": base64.b64encode(b"print(1)\n").decode()}
    assert sent["spec"]["pipeline"] == "tiny"


def test_bad_file_is_refused_here(stub: Stub, suture: Suture, tmp_path: Path):
    """A mistake is named with file and line before anything is sent."""
    path = pipeline_file(tmp_path)
    path.write_text(FILE.replace("owner: data", "ovner: data"))
    found = suture("pipeline", "apply", str(path))
    assert (found.exit_code, f"{path}:4: ovner: unknown field" in found.stderr) == (2, True)
    assert stub.asked == []


def test_missing_file_is_named(suture: Suture, tmp_path: Path):
    """A path that is not there is a sentence."""
    found = suture("pipeline", "apply", str(tmp_path / "none.yaml"))
    assert (found.exit_code, "none.yaml" in found.stderr) == (1, True)


def test_name_that_stands_twice_needs_its_environment(stub: Stub, suture: Suture):
    """One name in two environments is not guessed."""
    stub.on(PIPELINES, listed(*({"id": f"pip_{place}", "name": "a", "environment": place} for place in ("dev", "prod"))))
    stub.on("POST /pipelines/pip_dev/runs", {"id": "exe_1", "status": "pending"}, status=202)
    assert suture("pipeline", "run", "a").exit_code == 2
    assert suture("pipeline", "run", "a", "-e", "dev").exit_code == 0


def test_run_that_waits_for_its_healing_is_four(stub: Stub, suture: Suture):
    """`--wait` tells by its exit code how the run stands."""
    stub.on("GET /pipelines/pip_1", {"id": "pip_1"})
    for status, ends in (("succeeded", 0), ("failed", 1), ("waiting", 4)):
        execution = {"id": "exe_1", "status": status, "incident_id": None}
        stub.on("POST /pipelines/pip_1/runs", execution, status=202)
        stub.on("GET /executions/exe_1", {"execution": execution, "attempts": []})
        assert suture("pipeline", "run", "pip_1", "--wait").exit_code == ends


def test_approval_names_the_digest_that_was_read(stub: Stub, suture: Suture):
    """Approving counts for exactly the plan that was shown, and asks nothing without a terminal."""
    stub.on("GET /fix/plans/plan_1", PLAN)
    stub.on(OPEN, listed(APPROVAL))
    stub.on("PATCH /approvals/apr_1", APPROVAL | {"status": "approved"})
    assert suture("approve", "plan_1", "-r", "good").exit_code == 0
    assert stub.bodies("PATCH /approvals/apr_1") == [{"choice": "approve", "notes": "good", "digest": PLAN["digest"]}]


def test_decision_that_is_only_stored_is_four(stub: Stub, suture: Suture):
    """202 means that the workflow has not taken it yet."""
    stub.on("GET /fix/plans/plan_1", PLAN)
    stub.on(OPEN, listed(APPROVAL))
    stub.on("PATCH /approvals/apr_1", APPROVAL, status=202)
    assert suture("reject", "plan_1").exit_code == 4


def test_plan_that_waits_for_nobody(stub: Stub, suture: Suture):
    """A plan without an open approval says where it stands."""
    stub.on("GET /fix/plans/plan_1", PLAN | {"status": "executing"})
    stub.on(OPEN, listed())
    found = suture("approve", "plan_1")
    assert (found.exit_code, "executing" in found.stderr) == (1, True)


def test_replay_waits_for_its_plan(stub: Stub, suture: Suture):
    """A replay is a plan, so asking for one ends with 4 and names it."""
    stub.on("POST /recovery/replay", {"id": "rcv_1", "plan_id": "plan_1"}, status=202)
    found = suture("recovery", "replay", "exe_1")
    assert (found.exit_code, "suture plan show plan_1" in found.stderr) == (4, True)


def test_secret_comes_from_standard_input(stub: Stub, suture: Suture):
    """A secret never stands on the command line and never comes back."""
    stub.on("PUT /secrets/prod/dsn", b"", status=204)
    found = suture("secret", "set", "prod", "dsn", stdin="hush\n")
    assert (found.exit_code, "hush" in found.output) == (0, False)
    assert stub.bodies("PUT /secrets/prod/dsn") == [{"value": "hush"}]


def test_a_key_is_rotated(stub: Stub, suture: Suture):
    """The id of the fresh key is shown."""
    stub.on("POST /secrets/rotate-key", {"key_id": "0199"})
    assert json.loads(suture("secret", "rotate-key", "-o", "json").stdout) == {"key_id": "0199"}


def test_token_secret_stands_alone(stub: Stub, suture: Suture):
    """Standard output is the secret and nothing else."""
    stub.on("POST /tokens", {"token": {"id": "tok_1"}, "secret": "sut_x"}, status=201)
    assert suture("token", "create", "--days", "1").stdout == "sut_x\n"
    assert stub.bodies("POST /tokens")[0]["expires_in"] == 86_400


def test_automatic_mode_is_held_released_and_shown(stub: Stub, suture: Suture):
    """Without a word the mode is only shown."""
    stub.on("GET /automatic", {"org_id": "org_1", "released": False})
    stub.on("PUT /automatic", {"org_id": "org_1", "released": True})
    assert "no" in suture("kill-switch", "automatic").stdout
    assert json.loads(suture("kill-switch", "automatic", "release", "-o", "json").stdout)["released"] is True


def test_a_switch_names_what_it_stops(stub: Stub, suture: Suture):
    """Only the org's goes without a name: a switch over `*` would stop no action and no workflow."""
    stub.on("PUT /kill-switches", {"level": "org", "subject": "*", "is_active": True})
    for level in ("action", "workflow", "vendor"):
        refused = suture("kill-switch", "engage", level, "-r", "looking")
        assert (refused.exit_code, f"which {level}?" in refused.stderr) == (2, True)
    assert suture("kill-switch", "engage", "org", "-r", "looking").exit_code == 0
    assert [body["subject"] for body in stub.bodies("PUT /kill-switches")] == ["*"]


def test_incident_is_told_as_a_story(stub: Stub, suture: Suture):
    """What broke, why, what speaks against it, what was left out, the plan, and who may approve until when."""
    _incident(stub)
    said = suture("incident", "show", "inc_1").stdout
    for part in (
        "what broke: load failed",
        "90% configuration_drift: v2 renamed a column",
        "+ [change] key X changed",
        "- [history] v1 passed",
        "retry_stage: would fail again",
        "plan_1  awaiting_approval  rollback_config",
        "1 of role approver: Ada;",
        "until 2026-11-20 12:00:00 UTC",
        "suture approve plan_1",
    ):
        assert part in said


def test_an_incident_without_a_plan_says_why_there_is_none(stub: Stub, suture: Suture):
    """What the planner decided, and what it left out."""
    _incident(stub)
    considered = {"excluded": [{"action": "rollback_config", "reason": "no version has passed"}]}
    why = {"decision_type": "plan", "explanation": "nothing fits: a person has to look", "explanation_json": considered}
    stub.on("GET /incidents/inc_1/plans", listed())
    stub.on("GET /incidents/inc_1/decisions?limit=20", listed({"decision_type": "diagnosis"}, why))
    said = suture("incident", "show", "inc_1").stdout
    assert "none: nothing fits: a person has to look" in said
    assert "rollback_config: no version has passed" in said


def _incident(stub: Stub) -> None:
    seen = dict.fromkeys(("first_seen_at", "last_seen_at"), "2026-11-20T11:00:00Z")
    place = {"environment": "prod", "service": "ad-cost", "severity": "sev2", "status": "awaiting_approval"}
    incident = {"id": "inc_1", "title": "load failed", "event_count": 1, "waiting_runs": ["exe_1"], **seen, **place}
    hypothesis = {"cause": "configuration_drift", "confidence": 0.9, "statement": "v2 renamed a column"}
    left_out = [{"action": "retry_stage", "reason": "would fail again"}]
    plan = PLAN | {"excluded": left_out, "preflight": None, "action": "rollback_config", "risk": "low", "why": "v1 was good"}
    plan["reversibility"] = "reversible"
    people = [("prn_1", "Ada", ["approver"]), ("prn_2", "Bob", ["approver"]), ("prn_3", "Eve", ["viewer"])]
    approval = APPROVAL | {"excluded": ["prn_2"], "required_role": "approver", "quorum": 1, "decide_by": "2026-11-20T12:00:00Z"}
    stub.on("GET /incidents/inc_1", incident)
    stub.on("GET /incidents/inc_1/plans", listed(plan))
    stub.on("GET /fix/plans/plan_1", plan)
    stub.on(OPEN, listed(approval))
    stub.on("GET /incidents/inc_1/hypotheses", listed(hypothesis | {"support": ["e1"], "counter": ["e2"], "why_not": None}))
    pieces = [
        {"id": "e1", "kind": "change", "excerpt": "key X changed"},
        {"id": "e2", "kind": "history", "excerpt": "v1 passed"},
    ]
    stub.on("GET /incidents/inc_1/evidence", listed(*pieces))
    who = ({"id": id_, "name": name, "roles": roles, "kind": "person", "is_active": True} for id_, name, roles in people)
    stub.on("GET /principals?limit=200", listed(*who))
