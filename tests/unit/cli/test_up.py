"""`suture up` and `suture doctor` on this machine, for real."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from commands.up import READY, STOPS
from stack import ports
from stack.local import scratch
from tests.unit.cli.conftest import Suture

ROOT = Path(__file__).parents[3]
READY_WITHIN_S, STOPPED_WITHIN_S = 90, 40
COMMAND = (sys.executable, "-m", "cli")


def environment(data: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
    api, sdk, worker = (str(port) for port in ports.choose(0, 0, 0))
    own = {"SUTURE_API_PORT": api, "SUTURE_METRICS_PORT": sdk, "SUTURE_WORKER_METRICS_PORT": worker}
    return kept | own | {"SUTURE_DATA": str(data), "SUTURE_ENVIRONMENTS": "dev", "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(data: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The stack, and what it said until it was ready."""
    argv = (*COMMAND, "up", "--execute-workers", "1")
    with subprocess.Popen(argv, cwd=ROOT, env=environment(data), stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, until_ready(process)
        finally:
            process.kill()


def until_ready(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    said, until = [], time.monotonic() + READY_WITHIN_S
    for line in process.stdout:
        said.append(line.rstrip())
        if said[-1] == READY or time.monotonic() > until:
            break
    return said


def scraped(data: Path) -> set[tuple[str, str]]:
    """Process and kind of each page in the file for Prometheus; all of them answer, each at its own address."""
    found = json.loads((data / "metrics.json").read_text())
    urls = [f"http://{each['targets'][0]}/metrics" for each in found]
    assert len(set(urls)) == len(urls)
    assert all(httpx2.get(url).status_code == 200 for url in urls)
    return {(each["labels"]["process"], each["labels"]["page"]) for each in found}


def suture_on(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = (*COMMAND, *words)
    return subprocess.run(argv, cwd=ROOT, env=environment(data), capture_output=True, text=True, timeout=60, check=False)


def test_stack_comes_up_is_used_and_leaves_nothing_behind():
    """One command starts everything, others find it, a second one is refused, and Ctrl-C ends every process.

    A port for metrics that everybody inherits is where the pages begin: each process has its own. The ledger is signed
    before the end, up to its last entry.
    """
    with scratch() as data, running(data) as (process, said):
        assert said[-1] == READY, said
        token = (data / "admin.token").read_text().strip()
        assert sum(token in line for line in said) == 1
        assert [path.stat().st_mode & 0o777 for path in (data / "admin.token", data / "connection.json")] == [0o600, 0o600]
        family = psutil.Process(process.pid).children(recursive=True)
        assert json.loads(suture_on(data, "pipeline", "list", "-o", "json").stdout) == []
        assert scraped(data) == {
            ("api", "API"), ("api", "engine SDK"),
            *((name, page) for name in ("control", "records", "execute-1") for page in ("engine SDK", "worker")),
        }  # fmt: skip
        orgs = json.loads(suture_on(data, "platform", "org", "list", "-o", "json").stdout)
        assert [(each["name"], each["is_active"]) for each in orgs] == [("default", True)]
        second = suture_on(data, "up")
        assert (second.returncode, f"in use by process {process.pid}" in second.stderr) == (1, True)
        assert suture_on(data, "kill-switch", "engage", "org", "--reason", "the last act").returncode == 0
        size = json.loads(suture_on(data, "audit", "verify", "-o", "json").stdout)["size"]
        process.send_signal(signal.SIGINT)
        assert process.wait(STOPPED_WITHIN_S) == 0
        assert max(int(note.stem) for note in (data / "checkpoints").rglob("*.note")) == size
        assert psutil.wait_procs(family, timeout=5)[1] == []
        assert not (data / "connection.json").exists()
        assert "suture up" in suture_on(data, "pipeline", "list").stderr


def test_doctor_names_what_mends(suture: Suture):
    """Each finding that is not well comes with a command."""
    findings = json.loads(suture("doctor", "-o", "json").stdout)
    assert {"python", "temporal", "opa", "postgresql", "disk"} <= {each["name"] for each in findings}
    assert all(each["ok"] or each["mend"] for each in findings)


def test_doctor_fails_when_something_needed_is_missing(suture: Suture):
    """A tool that a setting names and that is not there ends with 1."""
    found = suture("doctor", SUTURE_OPA_PATH="/nowhere/opa")
    assert (found.exit_code, "unset SUTURE_OPA_PATH" in found.stdout) == (1, True)


@pytest.mark.parametrize("url", ["nonsense", "postgresql://", "postgresql://u:p@host:port/x"])
def test_bad_database_url_is_named_and_not_shown(suture: Suture, url: str):
    """An admin URL that is none is refused by name before anything starts."""
    found = suture("up", SUTURE_DATABASE_ADMIN_URL=url)
    assert (found.exit_code, "SUTURE_DATABASE_ADMIN_URL" in found.stderr) == (2, True)
    assert url not in found.stderr.replace("postgresql+asyncpg://user:password@host:port/database", "")


def test_every_usual_way_to_stop_is_heard():
    """Ctrl-C, a service manager, a closed terminal."""
    assert set(STOPS) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
