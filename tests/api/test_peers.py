"""Senders that people already run against the served API, each by what its page has to copy and no line more."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from stack import ports
from tests.api.pages import blocks, filled, run
from tests.api.site import Person, Site
from tests.engine import until
from tests.peers import command, prometheus, running

CONFIG = {"environment": "prod", "opens_incidents": True}
ALERT = {"labels": {"alertname": "HighErrors", "service": "shop"}, "annotations": {"summary": "too many errors"}}


TELLING = """
import logging

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
logging.getLogger().addHandler(LoggingHandler(logger_provider=logs))
for order in (17, 18):
    try:
        raise TimeoutError(f"timed out after {order} ms")
    except TimeoutError:
        logging.exception("order %s cannot be paid", order)
logs.shutdown()
metrics = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
metrics.get_meter("shop").create_counter("orders").add(2)
metrics.shutdown()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="suture-peer-"))
    yield made
    shutil.rmtree(made)


def config_of(page: str, number: int, served: str, made: dict[str, Any]) -> dict[str, Any]:
    """A block of YAML from the page that tells people how to connect, filled in as they are told."""
    found: dict[str, Any] = yaml.safe_load(filled(blocks(page, "yaml")[number], served, made))
    return found


async def connector(someone: Person, kind: str) -> dict[str, Any]:
    return (await someone.post("/connectors", {"kind": kind, "name": kind, "config": CONFIG})).json()


async def events_of(someone: Person, wanted: str) -> list[dict[str, Any]]:
    return [each for each in (await someone.get("/events")).json()["items"] if each["event_type"] == wanted]


async def test_a_real_alertmanager_opens_an_incident(served: str, someone: Person, folder: Path) -> None:
    """Its webhook with a bearer token is all it takes; what it resolves is seen, too."""
    config = config_of("alertmanager.md", 0, served, await connector(someone, "alertmanager"))
    config["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    (folder / "alertmanager.yml").write_text(json.dumps(config))
    (port,) = ports.choose(0)
    own = f"http://127.0.0.1:{port}"
    argv = (
        *command("prometheus-alertmanager"),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    async with running(*argv, ready=f"{own}/-/ready"), httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.post(f"{own}/api/v2/alerts", json=[ALERT])).status_code == 200

        async def is_open() -> bool:
            return bool((await someone.get("/incidents")).json()["items"])

        await until(is_open, why="the alert opens an incident")
        ended = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        await client.post(f"{own}/api/v2/alerts", json=[ALERT | {"endsAt": ended}])

        async def is_resolved() -> bool:
            return bool(await events_of(someone, "alert.resolved"))

        await until(is_resolved, why="the end of the alert is seen")

    (incident,) = (await someone.get("/incidents")).json()["items"]
    assert (incident["service"], incident["environment"], incident["event_count"]) == ("shop", "prod", 1)


async def test_f29_what_a_real_alertmanager_leaves_out_is_read_from_it(served: str, someone: Person, folder: Path) -> None:
    """Its webhook holds one alert of three; the others are taken from its own API, and what is known already is known."""
    (port,) = ports.choose(0)
    own = f"http://127.0.0.2:{port}"
    body = {"kind": "alertmanager", "name": "limited", "config": CONFIG | {"source_url": own}}
    made = (await someone.post("/connectors", body)).json()
    config = config_of("alertmanager.md", 0, served, made)
    config["route"] |= {"group_wait": "1s", "group_interval": "1s", "group_by": ["alertname"]}
    config["receivers"][0]["webhook_configs"][0]["max_alerts"] = 1
    (folder / "alertmanager.yml").write_text(json.dumps(config))
    argv = (
        *command("prometheus-alertmanager"),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.2:{port}",
        "--cluster.listen-address=",
    )
    alerts = [ALERT | {"labels": ALERT["labels"] | {"instance": f"i-{number}"}} for number in range(3)]
    async with running(*argv, ready=f"{own}/-/ready"), httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.post(f"{own}/api/v2/alerts", json=alerts)).status_code == 200

        async def are_open() -> bool:
            return len((await someone.get("/incidents")).json()["items"]) == 3

        await until(are_open, why="all three alerts open an incident")

    log = (await someone.get(f"/connectors/{made['connector']['id']}/deliveries")).json()["items"]
    rest, limited = log[-2:]
    assert (rest["status"], rest["stored"], rest["duplicates"]) == ("taken", 2, 1)
    assert (limited["status"], limited["stored"]) == ("partly", 1)
    assert {each["event_count"] for each in (await someone.get("/incidents")).json()["items"]} == {1}


async def test_f29_an_alertmanager_that_cannot_be_asked_is_in_the_log(someone: Person, site: Site) -> None:
    """What its webhook held is taken all the same."""
    (port,) = ports.choose(0)
    config = CONFIG | {"source_url": f"http://127.0.0.2:{port}"}
    made = (await someone.post("/connectors", {"kind": "alertmanager", "name": "away", "config": config})).json()
    alert = ALERT | {"status": "firing", "startsAt": "2026-11-20T10:00:00Z"}
    body = {"receiver": "suture", "groupLabels": {"alertname": "HighErrors"}, "truncatedAlerts": 2, "alerts": [alert]}
    path = f"/api/v1/ingest/alertmanager/{made['connector']['endpoint']}"

    answer = await site.client.post(path, json=body, headers={"Authorization": f"Bearer {made['secret']}"})

    assert (answer.status_code, answer.json()["stored"]) == (202, 1)
    rest, limited = (await someone.get(f"/connectors/{made['connector']['id']}/deliveries")).json()["items"]
    assert (limited["status"], rest["status"]) == ("partly", "refused")
    assert rest["reason"].startswith("the rest could not be read: ")


async def test_a_real_prometheus_needs_no_alertmanager(served: str, someone: Person, folder: Path) -> None:
    """Two lines name our address as that of an Alertmanager; an alert that is sent again and again is one incident."""
    made = await connector(someone, "alertmanager")
    rule = {"alert": "Always", "expr": "vector(1)", "labels": {"service": "shop"}, "annotations": {"summary": "it is so"}}
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "one", "interval": "1s", "rules": [rule]}]}))
    config = config_of("alertmanager.md", 1, served, made)
    config |= {"global": {"evaluation_interval": "1s"}, "rule_files": [f"{folder}/rules.yml"]}
    async with prometheus(folder, config, "--rules.alert.resend-delay=1s"):

        async def is_sent_again() -> bool:
            log = (await someone.get(f"/connectors/{made['connector']['id']}/deliveries")).json()["items"]
            return sum(each["duplicates"] for each in log) >= 2

        await until(is_sent_again, why="Prometheus sends its alert again")

    (incident,) = (await someone.get("/incidents")).json()["items"]
    assert (incident["service"], incident["event_count"]) == ("shop", 1)
    assert len(await events_of(someone, "alert.firing")) == 1


async def test_a_program_with_the_sdk_of_opentelemetry_opens_an_incident(served: str, someone: Person, tmp_path: Path) -> None:
    """The environment and the program of the page: a span that fails is an incident."""
    told = filled(blocks("otlp.md", "sh")[1], served, await connector(someone, "otlp"))
    (tmp_path / "program.py").write_text(blocks("otlp.md", "python")[0])

    await run(f"{told}\n! {sys.executable} program.py", tmp_path)

    (incident,) = (await someone.get("/incidents")).json()["items"]
    assert (incident["service"], incident["environment"], incident["title"]) == ("checkout", "prod", "TimeoutError: timed out")


async def test_the_sdk_of_opentelemetry_sends_logs_and_metrics(served: str, someone: Person, tmp_path: Path) -> None:
    """Two lines of one error are one incident with two events, whatever number they name; a counter is a metric."""
    told = filled(blocks("otlp.md", "sh")[1], served, await connector(someone, "otlp"))
    (tmp_path / "program.py").write_text(TELLING)

    await run(f"{told}\n{sys.executable} program.py", tmp_path)

    (incident,) = (await someone.get("/incidents")).json()["items"]
    assert (incident["service"], incident["title"], incident["event_count"]) == ("checkout", "order 17 cannot be paid", 2)
    assert [each["kind"] for each in await events_of(someone, "metric.sum")] == ["metric"]


async def test_a_real_client_of_openlineage_opens_an_incident(served: str, someone: Person, tmp_path: Path) -> None:
    """The file and the program of the page: a run that failed is an incident of its pipeline."""
    made = await connector(someone, "openlineage")
    (tmp_path / "openlineage.yml").write_text(filled(blocks("openlineage.md", "yaml")[0], served, made))
    (tmp_path / "program.py").write_text(blocks("openlineage.md", "python")[0])

    await run(f"{sys.executable} program.py", tmp_path)

    (incident,) = (await someone.get("/incidents")).json()["items"]
    assert (incident["service"], incident["title"]) == ("orders.load", "relation 17 does not exist")


async def test_a_collector_is_told_what_an_sdk_is_told(served: str, someone: Person) -> None:
    """The Collector's block names the same address and the same header as the environment that the SDK is run with."""
    made = await connector(someone, "otlp")
    config, told = config_of("otlp.md", 0, served, made), filled(blocks("otlp.md", "sh")[1], served, made)
    exporter = config["exporters"]["otlphttp/suture"]
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT={exporter['endpoint']}\n" in told
    assert f"Authorization={exporter['headers']['Authorization'].replace(' ', '%20')}\n" in told
