"""The product itself on top of the base stack: provision, API and workers as supervised children."""

import asyncio
import json
import os
import re
import secrets
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from pydantic import SecretStr

from domain.base import Value
from domain.errors import UnavailableError
from domain.units import duration_text
from stack import ports, scrape
from stack.child import ChildSpec, Probe, Report
from stack.interpreter import stage_python
from stack.local import Endpoints, Stack, first_error
from stack.postgres import PostgresAddress

ROOT = Path(__file__).resolve().parent.parent
_ROLES = ("app", "relay", "upkeep", "platform")
_INHERITED = re.compile(r"PATH|HOME|LANG|TMPDIR|(SSL_|XDG_|PYTHON|SUTURE_)\w+")
_NOT_INHERITED = re.compile(r"SUTURE_(DATABASE_(\w+_)?URL|TOKEN)")  # each process is given its own, and acts in nobody's name
_ADMIN_URL = "SUTURE_DATABASE_ADMIN_URL"
_READY_WITHIN = timedelta(seconds=90)  # every Python process starts at once
_PROVISION_WITHIN = timedelta(seconds=60)
SEARCH_ATTRIBUTES = {
    "Stage": "Keyword",
    "Outcome": "Keyword",
    "PlanId": "Keyword",
    "OrgId": "Keyword",
    "Service": "Keyword",
    "Environment": "Keyword",
    "NeedsHuman": "Bool",
    "ApprovalDeadline": "Datetime",
}
"""What the engine's Web UI filters by; the workflows write them."""

_BEHIND = 5
"""The niceness of workers that run no stages: under full load what is observed is taken in before anybody thinks about it."""
_CONTROL = ("scheduler", "orchestrator", "replay")
_RECORDS = ("io", "inference")


class Wanted(Value):
    """How much of the product to run, and where people reach it.

    Each process shows its metrics on free ports of its own, the first ones where they are free; 0 is any.
    `database` holds the URLs of a database elsewhere by setting, where some are set; `more` is added to every process.
    """

    api_host: str = "127.0.0.1"
    api_port: int = 8080
    environments: tuple[str, ...] = ("dev", "staging", "prod")
    execute_workers: int = 2
    lease: timedelta = timedelta(seconds=30)
    metrics_host: str = "127.0.0.1"
    first_sdk_page: int = 9464
    first_worker_page: int = 9564
    database: Mapping[str, SecretStr] = {}
    more: Mapping[str, str] = {}


class Running(Value):
    """Where everything answers, the file that holds the first admin's token, and the one that names every metrics page."""

    endpoints: Endpoints
    api_url: str
    token_file: Path
    metrics_file: Path


class Application:
    """Runs on a started `Stack`; `start` returns when API and workers serve."""

    def __init__(self, stack: Stack, data: Path, wanted: Wanted, *, report: Report) -> None:
        self._stack = stack
        self._data = data.absolute()
        self._wanted = wanted
        self._report = report

    async def start(self, endpoints: Endpoints) -> Running:
        """Raises UnavailableError: a part did not become ready; the message holds its last words."""
        port = ports.choose(self._wanted.api_port)[0]
        api_url = f"http://{self._wanted.api_host}:{port}"
        environment, urls = self._environment(endpoints, api_url, port), self._urls(endpoints)
        everything = environment | urls
        await self._provision(everything, endpoints)
        self._report("database is provisioned")
        _write(environment_file(self._data), json.dumps({k: v for k, v in everything.items() if k.startswith("SUTURE_")}))
        try:
            await self._run_all(environment, urls, api_url)
        except BaseExceptionGroup as failed:
            raise first_error(failed) from failed
        self._report("API and workers are ready")
        return Running(
            endpoints=endpoints,
            api_url=api_url,
            token_file=self._data / "admin.token",
            metrics_file=self._data / "metrics.json",
        )

    async def _run_all(self, environment: Mapping[str, str], urls: Mapping[str, str], api_url: str) -> None:
        """Each process knows the database by the roles that it needs, and by no other."""
        pages = self._pages(api_url)
        async with asyncio.TaskGroup() as group:
            own = {**environment, **_as(urls, "app"), **pages["api"]}
            group.create_task(self._stack.run_child(self._api(own, api_url)))
            for name, queues in self._pools():
                own = {**environment, **_as(urls, *roles_of(queues)), **pages[name]}
                group.create_task(self._stack.run_child(*self._worker(own, name, queues)))

    def _pages(self, api_url: str) -> dict[str, dict[str, str]]:
        """The settings by which each process shows its metrics; `metrics.json` in the data directory names the pages."""
        wanted = self._wanted
        names = [name for name, _ in self._pools()]
        pages = scrape.choose_pages(names, first_sdk=wanted.first_sdk_page, first_own=wanted.first_worker_page)
        scrape.write_targets(self._data / "metrics.json", pages, host=wanted.metrics_host, api=api_url.partition("//")[2])
        return {name: {setting: str(port) for setting, port in own.items()} for name, own in pages.items()}

    def _pools(self) -> list[tuple[str, tuple[str, ...]]]:
        execute = tuple(f"execute-{each}" for each in self._wanted.environments)
        return [
            ("control", _CONTROL),
            ("records", _RECORDS),
            *((f"execute-{number}", execute) for number in range(1, self._wanted.execute_workers + 1)),
        ]

    def _environment(self, endpoints: Endpoints, api_url: str, port: int) -> dict[str, str]:
        return inherited(os.environ) | {
            "SUTURE_DATA": str(self._data),
            "SUTURE_TEMPORAL_ADDRESS": endpoints.temporal_address,
            "SUTURE_TEMPORAL_UI_URL": endpoints.temporal_ui_url or "",
            "SUTURE_OPA_URL": endpoints.opa_url,
            "SUTURE_API_HOST": self._wanted.api_host,
            "SUTURE_API_PORT": str(port),
            "SUTURE_API_URL": api_url,
            "SUTURE_METRICS_HOST": self._wanted.metrics_host,
            "SUTURE_LEASE": duration_text(self._wanted.lease),
            "SUTURE_STAGE_PYTHON": os.environ.get("SUTURE_STAGE_PYTHON") or str(stage_python(self._data)),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self._wanted.more,
        }

    def _urls(self, endpoints: Endpoints) -> dict[str, str]:
        """The database by the setting of each role; what the settings name instead of ours counts."""
        passwords = self._role_passwords()
        ours = {_setting(role): _url(endpoints.postgres, f"suture_{role}", passwords[role]) for role in _ROLES}
        return ours | {name: url.get_secret_value() for name, url in self._wanted.database.items() if name != _ADMIN_URL}

    def _role_passwords(self) -> dict[str, str]:
        """One secret per role, made once, in a file of mode 0600."""
        path = self._data / "keys" / "database.roles"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write(path, "".join(f"{role}={secrets.token_urlsafe(32)}\n" for role in _ROLES))
        return dict(line.split("=", 1) for line in path.read_text().split())

    async def _provision(self, environment: Mapping[str, str], endpoints: Endpoints) -> None:
        address = endpoints.postgres
        given = self._wanted.database.get(_ADMIN_URL)
        admin_url = given.get_secret_value() if given else _url(address, address.user, address.password.get_secret_value())
        process = await asyncio.create_subprocess_exec(
            *_python("provision"),
            cwd=ROOT,
            env={**environment, _ADMIN_URL: admin_url},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_PROVISION_WITHIN.total_seconds()):
                _, complaint = await process.communicate()
        except TimeoutError as error:
            raise UnavailableError(f"provisioning the database took longer than {_PROVISION_WITHIN.seconds} s") from error
        finally:
            await _end(process)
        if process.returncode != 0:
            words = complaint.decode(errors="replace").strip().splitlines()
            raise UnavailableError(f"the database could not be provisioned: {words[-1] if words else 'no reason given'}")

    def _api(self, environment: Mapping[str, str], api_url: str) -> ChildSpec:
        health = f"{api_url}/readyz"
        argv = _python("api.app")
        return ChildSpec(name="api", argv=argv, env=environment, cwd=ROOT, health_url=health, ready_within=_READY_WITHIN)

    def _worker(self, environment: Mapping[str, str], name: str, queues: tuple[str, ...]) -> tuple[ChildSpec, Probe]:
        ready = self._data / f"{name}.ready"
        ready.unlink(missing_ok=True)
        own = {"SUTURE_QUEUES": ",".join(queues), "SUTURE_READY_FILE": str(ready)}
        spec = ChildSpec(
            name=name,
            argv=_python("worker"),
            env={**environment, **own},
            cwd=ROOT,
            niceness=_BEHIND if queues in (_CONTROL, _RECORDS) else 0,
            grace=timedelta(seconds=15),
            ready_within=_READY_WITHIN,
        )
        return spec, _exists(ready)


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What a process of the product takes over from whoever starts it: no credential that it was not given."""
    return {
        name: value for name, value in environment.items() if _INHERITED.fullmatch(name) and not _NOT_INHERITED.fullmatch(name)
    }


def roles_of(queues: tuple[str, ...]) -> tuple[str, ...]:
    """The database roles of a worker: whoever serves `io` delivers letters and removes what has served, too."""
    return ("app", "relay", "upkeep") if "io" in queues else ("app",)


def _as(urls: Mapping[str, str], *roles: str) -> dict[str, str]:
    return {name: urls[name] for name in map(_setting, roles)}


def _setting(role: str) -> str:
    return "SUTURE_DATABASE_URL" if role == "app" else f"SUTURE_DATABASE_{role.upper()}_URL"


def environment_file(data: Path) -> Path:
    """The settings of the product's processes as they were started last, for acts on this machine; mode 0600."""
    return data / "keys" / "environment.json"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def _python(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module)


def _exists(path: Path) -> Probe:
    async def look() -> bool:
        return await asyncio.to_thread(path.exists)

    return look


def _url(address: PostgresAddress, user: str, password: str) -> str:
    place = f"host={quote(address.host)}&port={address.port}"
    return f"postgresql+asyncpg://{user}:{quote(password)}@/{address.database}?{place}"
