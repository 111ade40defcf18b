"""How a pipeline does of late."""

from datetime import timedelta

import pytest

from domain.base import ExecutionId
from domain.execution import RunStatus
from domain.refs import MonitorRef
from services.ledger import Ledger
from services.monitors import Monitors
from storage import executions
from tests.api.site import Incident, Person, Site, an_incident, code, spec


async def test_a_snapshot_counts_what_ended(site: Site, someone: Person) -> None:
    """Failures, durations, retries and the errors that runs ended in; a run that waits has not ended."""
    incident = await an_incident(site, someone)
    path = f"/monitoring/{incident.ids['pipeline_id']}/snapshot"
    waiting = (await someone.get(path)).json()
    async with site.database.transaction(someone.caller.org) as session:
        run = ExecutionId.of(incident.ids["execution_id"])
        await executions.change(session, run, status=str(RunStatus.FAILED), finished_at=True)

    failed = (await someone.get(path, params={"window": "PT1H"})).json()

    assert (waiting["runs"], waiting["failure_rate"], waiting["duration"]) == (0, None, None)
    assert (failed["runs"], failed["failures"], failed["failure_rate"], failed["throughput"]) == (1, 1, 1.0, 1.0)
    assert failed["errors"] == [{"stage": "read", "error_code": "exit_1", "count": 1}]
    assert failed["cpu"] == {"median": 1.0, "p95": 1.0}
    assert failed["memory"] == {"median": 1.0, "p95": 1.0}
    assert 0 <= failed["duration"]["median"] < timedelta(minutes=1).total_seconds()


async def test_a_pipeline_without_runs_has_no_figures(someone: Person) -> None:
    """What was not seen is none, and never zero."""
    made = (await someone.post("/pipelines", {"spec": spec("quiet"), "code": code()})).json()

    seen = (await someone.get(f"/monitoring/{made['id']}/snapshot")).json()

    assert (seen["runs"], seen["retries"], seen["throughput"]) == (0, 0, 0.0)
    assert [seen[name] for name in ("failure_rate", "duration", "latency", "cpu", "memory")] == [None] * 5


@pytest.mark.parametrize("window", ["PT1S", "P91D", "soon", "-PT1H"])
async def test_a_window_has_its_bounds(site: Site, someone: Person, window: str) -> None:
    """From a minute to ninety days."""
    incident = await an_incident(site, someone)

    answer = await someone.get(f"/monitoring/{incident.ids['pipeline_id']}/snapshot", params={"window": window})

    assert answer.status_code == 422


async def test_a_service_is_shown_as_it_does(site: Site, someone: Person, theirs: Incident, ledger: Ledger) -> None:
    """Rate, errors and duration from what was added up; another org, and a service nobody watches, see nothing."""
    said: list[dict[str, object]] = [
        {"kind": "log", "severity": "error" if number < 5 else "info", "text": "x"} for number in range(20)
    ]
    told: list[dict[str, object]] = [
        {"kind": "metric", "key": "latency_ms", "value": 250},
        {"kind": "metric", "key": "cpu_percent", "value": 80},
    ]
    named = [each | {"service": "checkout", "environment": "prod"} for each in [*said, *told]]
    await someone.post("/signals/ingest", named)
    ref = MonitorRef(org=someone.caller.org, environment="prod", service="checkout")
    await Monitors(site.database, ledger, site.services.incidents).look(ref)
    path = "/monitoring/services/checkout?environment=prod"

    found = {window: (await someone.get(f"{path}&window={window}")).json() for window in ("5m", "30m", "6h")}

    assert {each["errors"]["value"] for each in found.values()} == {0.25}
    assert {each["duration"]["value"] for each in found.values()} == {0.25}
    assert [each["source"] for each in found["5m"]["utilisation"]] == ["cpu_percent"]
    assert [len(each["parts"]) for each in found.values()] == [5, 30, 72]
    assert found["30m"]["parts"][0]["rate"] is None
    assert found["30m"]["saturation"] == []
    assert (await theirs.by.get(path)).status_code == 404
    assert (await someone.get("/monitoring/services/checkout?environment=dev")).status_code == 404
    assert (await someone.get(f"{path}&window=1h")).status_code == 422
    assert (await someone.get("/monitoring/services/checkout")).status_code == 422
