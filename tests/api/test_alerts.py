"""The alert rules that are shipped, by the judgement of Prometheus's own tool."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from api.app import CANONICAL, document, routed
from api.metrics import RequestMetrics
from tests.peers import command

RULES = Path(__file__).parents[2] / "deploy/alerts.yml"
REFUSED = 'suture_http_requests_total{method="POST",route="/signals/ingest",status="503"}'
UNREADY = 'suture_http_requests_total{method="GET",route="/readyz",status="503"}'
UNSERVED = 'suture_unserved_total{environment="prod"}'
OLDEST = "suture_outbox_oldest_seconds"
QUIET = {UNSERVED: "0x20", REFUSED: "0x20", OLDEST: "0x20"}


@pytest.mark.parametrize(
    ("series", "scraped", "minute", "alert"),
    [
        ({}, "15s", 4, None),
        ({REFUSED: "0 0 500x100"}, "15s", 1, "SutureTurnsRequestsAway"),
        ({REFUSED: "0 600 1200 1800 2400"}, "2m", 4, "SutureTurnsRequestsAway"),
        ({REFUSED: "0 500x100"}, "15s", 9, None),
        ({UNREADY: "0 1 2 3 4 5 6"}, "1m", 4, None),
        ({UNSERVED: "0 0 1x20"}, "1m", 4, "SutureHasNoWorker"),
        ({OLDEST: "0 50 110 170 230"}, "1m", 4, "SutureTellsTheEngineNothing"),
        ({OLDEST: "0 70 0x20"}, "1m", 4, None),
        ({OLDEST: "_x20"}, "1m", 4, "SutureTellsTheEngineNothing"),
    ],
)
def test_who_is_woken_when(series: dict[str, str], scraped: str, minute: int, alert: str | None, tmp_path: Path) -> None:
    """A short outage and one that is seldom looked at wake somebody; what is over, or asked for, wakes nobody."""
    said = [{"series": name, "values": values} for name, values in (QUIET | series).items()]
    wanted = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else []
    asked = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{minute}m", "exp_samples": wanted}
    case = {"interval": scraped, "input_series": said, "promql_expr_test": [asked]}
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": [case]}
    (tmp_path / "case.yml").write_text(json.dumps(whole))

    judged = subprocess.run(
        [*command("prometheus", "promtool"), "test", "rules", str(tmp_path / "case.yml")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_what_the_rules_look_at_is_there_from_the_start() -> None:
    """The first refusal of a process is a rise, not the birth of a series; of every route that takes signals in."""
    registry = CollectorRegistry()
    RequestMetrics(registry)
    doors = {"/events", "/signals/ingest", "/monitoring/ingest"}
    doors |= {path.removeprefix(CANONICAL) for path in document(routed())["paths"] if path.startswith(f"{CANONICAL}/ingest/")}

    page = generate_latest(registry).decode()
    assert f"{REFUSED} 0.0" in page
    assert set(re.findall(r'method="POST",route="([^"]+)",status="503"} 0.0', page)) == doors
