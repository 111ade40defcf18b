"""Senders that people already run, as Debian ships them, against the served API: a few lines of their own configuration."""

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
import yaml

from stack import ports
from tests.api.site import Person, Site
from tests.engine import ROOT, until
from tests.peers import command

PAGES = ROOT / "docs" / "connect"
CONFIG = {"environment": "prod", "opens_incidents": True}
ALERT = {"labels": {"alertname": "HighErrors", "service": "shop"}, "annotations": {"summary": "too many errors"}}


@pytest.fixture
async def served(site: Site) -> AsyncIterator[str]:
    """The API behind a real socket."""
    (port,) = ports.choose(0)
    server = uvicorn.Server(uvicorn.Config(site.app, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    yield f"http://127.0.0.1:{port}/api/v1"
    server.should_exit = True
    await serving


@asynccontextmanager
async def running(*argv: str, ready: str) -> AsyncIterator[None]:
    """A peer from when it is ready until the end of the block; its log is shown when it never gets ready."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(*argv, stdout=log, stderr=log)
        try:
            async with httpx2.AsyncClient(trust_env=False) as client:

                async def is_ready() -> bool:
                    try:
                        return (await client.get(ready)).status_code == 200
                    except httpx2.TransportError:
                        return False

                try:
                    await until(is_ready, why=f"{argv[0]} is ready")
                except AssertionError:
                    log.seek(0)
                    raise AssertionError(log.read().decode()[-2_000:]) from None
                yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="suture-peer-"))
    yield made
    shutil.rmtree(made)


def block(page: str, number: int, served: str, made: dict[str, Any]) -> dict[str, Any]:
    """A block of YAML from the page that tells people how to connect, filled in as they are told."""
    text = re.findall(r"^```yaml\n(.*?)^```", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)[number]
    filled = {"SUTURE": served.removeprefix("http://").partition("/")[0]}
    filled |= {"ENDPOINT": made["connector"]["endpoint"], "SECRET": made["secret"]}
    for word, value in filled.items():
        text = text.replace(word, value)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


async def connector(someone: Person, kind: str) -> dict[str, Any]:
    return (await someone.post("/connectors", {"kind": kind, "name": kind, "config": CONFIG})).json()


async def events_of(someone: Person, wanted: str) -> list[dict[str, Any]]:
    return [each for each in (await someone.get("/events")).json()["items"] if each["event_type"] == wanted]


async def test_a_real_alertmanager_opens_an_incident(served: str, someone: Person, folder: Path) -> None:
    """Its webhook with a bearer token is all it takes; what it resolves is seen, too."""
    config = block("alertmanager.md", 0, served, await connector(someone, "alertmanager"))
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


async def test_a_real_prometheus_needs_no_alertmanager(served: str, someone: Person, folder: Path) -> None:
    """Two lines name our address as that of an Alertmanager; an alert that is sent again and again is one incident."""
    made = await connector(someone, "alertmanager")
    rule = {"alert": "Always", "expr": "vector(1)", "labels": {"service": "shop"}, "annotations": {"summary": "it is so"}}
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "one", "interval": "1s", "rules": [rule]}]}))
    config = block("alertmanager.md", 1, served, made)
    config |= {"global": {"evaluation_interval": "1s"}, "rule_files": [f"{folder}/rules.yml"]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    (port,) = ports.choose(0)
    argv = (
        *command("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--rules.alert.resend-delay=1s",
    )
    async with running(*argv, ready=f"http://127.0.0.1:{port}/-/ready"):

        async def is_sent_again() -> bool:
            log = (await someone.get(f"/connectors/{made['connector']['id']}/deliveries")).json()["items"]
            return sum(each["duplicates"] for each in log) >= 2

        await until(is_sent_again, why="Prometheus sends its alert again")

    (incident,) = (await someone.get("/incidents")).json()["items"]
    assert (incident["service"], incident["event_count"]) == ("shop", 1)
    assert len(await events_of(someone, "alert.firing")) == 1
