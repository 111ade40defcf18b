"""How a pipeline does of late."""

from datetime import timedelta

import pytest

from domain.base import ExecutionId
from domain.execution import RunStatus
from storage import executions
from tests.api.site import Person, Site, an_incident, code, spec


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
