"""`suture up`: the whole product on this machine until Ctrl-C; its state stays in one directory."""

import asyncio
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

import settings
from commands.doctor import ROOT, search
from commands.exits import CommandError
from commands.session import Connection, DataOption, connection_file, data_directory, given_in, keep_connection
from domain.base import Value
from domain.errors import ConflictError, InvalidError
from stack import ports
from stack.application import SEARCH_ATTRIBUTES, Application, Running, Wanted
from stack.bundle import Sources
from stack.engine import Certificates
from stack.local import Elsewhere, Plan, Stack
from stack.postgres import PostgresAddress

READY = "stack ready"
_POSTGRES_PORT = 5432
_DATABASE = ("database_admin_url", "database_url", "database_relay_url", "database_upkeep_url", "database_platform_url")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str], None]


class Start(Value):
    """What is started, and where its state is kept."""

    data: Path
    plan: Plan
    wanted: Wanted


def up(
    ctx: typer.Context,
    data: DataOption = None,
    api_port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Another is chosen when it is taken.")] = None,
    execute_workers: Annotated[int | None, typer.Option(min=1, max=16, help="How many processes run stages.")] = None,
    lease: Annotated[float | None, typer.Option(min=1, max=3600, help="Seconds a silent worker keeps its target.")] = None,
) -> None:
    """Start PostgreSQL, Temporal, OPA, the API and the workers, and run until Ctrl-C. State is kept between runs."""
    chosen = settings.load()
    place = data_directory(data or given_in(ctx).data, chosen)
    wanted = Wanted(
        api_host=chosen.api_host,
        api_port=ports.choose(api_port or chosen.api_port)[0],
        environments=chosen.environments,
        execute_workers=execute_workers or chosen.execute_workers,
        lease=chosen.lease if lease is None else timedelta(seconds=lease),
        metrics_host=chosen.metrics_host,
        database=_database(chosen),
        **_first_pages(chosen),
    )
    start = Start(data=place, plan=plan_of(chosen, wanted), wanted=wanted)
    if wanted.api_port != (api_port or chosen.api_port):
        typer.echo(f"port {api_port or chosen.api_port} is taken; the API takes {wanted.api_port}", err=True)
    try:
        asyncio.run(run(start, _sayer()))
    except ConflictError as error:
        raise CommandError(str(error), next_step="Ctrl-C where it runs stops it; --data names another directory") from None


async def run(start: Start, say: Say) -> None:
    """Until a signal; then everything is stopped before it returns.

    Raises:
        ConflictError: another process runs on this data directory.
        UnavailableError: something did not start, or is dead for good.
    """
    serving = asyncio.create_task(_serve(start, say))
    loop = asyncio.get_running_loop()
    for each in STOPS:
        loop.add_signal_handler(each, serving.cancel)
    await asyncio.wait({serving})
    if not serving.cancelled():
        serving.result()
    say("stopped; its state is kept")


def plan_of(chosen: settings.Settings, wanted: Wanted) -> Plan:
    """The base stack that the settings describe; what they place elsewhere is not started."""
    policies = ROOT / "policies"
    return Plan(
        tools=search(chosen),
        policies=Sources(rego=policies / "rego", data=policies / "data"),
        search_attributes=SEARCH_ATTRIBUTES,
        codec_endpoint=f"http://{wanted.api_host}:{wanted.api_port}/api/v1/codec",
        elsewhere=Elsewhere(
            postgres=_address(chosen.database_admin_url),
            temporal_address=chosen.temporal_address,
            temporal_namespace=chosen.temporal_namespace,
            temporal_certificates=Certificates(
                ca=chosen.temporal_tls_ca, cert=chosen.temporal_tls_cert, key=chosen.temporal_tls_key
            ),
            temporal_ui_url=chosen.temporal_ui_url,
            opa_url=chosen.opa_url,
        ),
    )


async def _serve(start: Start, say: Say) -> None:
    stack = Stack(start.data, start.plan, report=say)
    async with stack as endpoints:
        is_first = not (start.data / "admin.token").exists()
        running = await Application(stack, start.data, start.wanted, report=say).start(endpoints)
        keep_connection(start.data, Connection(api_url=running.api_url, ui_url=endpoints.temporal_ui_url))
        try:
            _tell(running, start.data, is_first=is_first)
            await stack.wait()
        finally:
            connection_file(start.data).unlink(missing_ok=True)
            say("stopping")


def _tell(running: Running, data: Path, *, is_first: bool) -> None:
    lines = [
        "",
        f"  API           {running.api_url}/api/v1",
        f"  OpenAPI docs  {running.api_url}/docs",
        f"  Web UI        {running.endpoints.temporal_ui_url or 'elsewhere'} (`suture ui` lets it read histories)",
        f"  state, logs   {data}",
        f"  metrics       {running.metrics_file} names the page of every process",
        f"  admin token   {running.token_file}",
    ]
    if is_first and running.token_file.is_file():
        lines += ["", f"  {running.token_file.read_text().strip()}", "  That is the first admin's token, shown this once."]
    typer.echo("\n".join([*lines, "", READY]))


def _sayer() -> Say:
    """Each line with the seconds since the start."""
    began = time.monotonic()

    def say(line: str) -> None:
        typer.echo(f"{time.monotonic() - began:6.1f} s  {line}")

    return say


def _first_pages(chosen: settings.Settings) -> dict[str, int]:
    """A port that the settings name is where the pages of that kind begin, one for each process."""
    named = {"first_sdk_page": chosen.metrics_port, "first_worker_page": chosen.worker_metrics_port}
    return {name: port for name, port in named.items() if port}


def _database(chosen: settings.Settings) -> dict[str, SecretStr]:
    """The URLs of a database elsewhere; without its admin's they would be of no use."""
    if chosen.database_admin_url is None:
        return {}
    urls = {f"SUTURE_{name.upper()}": getattr(chosen, name) for name in _DATABASE}
    return {name: url for name, url in urls.items() if url is not None}


def _address(admin_url: SecretStr | None) -> PostgresAddress | None:
    if admin_url is None:
        return None
    try:
        url = make_url(admin_url.get_secret_value())
        host, port = url.host or str(url.query["host"]), url.port or int(str(url.query.get("port", _POSTGRES_PORT)))
    except (ArgumentError, KeyError, ValueError):
        form = "postgresql+asyncpg://user:password@host:port/database"
        raise InvalidError(f"settings: SUTURE_DATABASE_ADMIN_URL: expected {form}") from None
    password = url.password if isinstance(url.password, str) else ""
    return PostgresAddress(
        host=host,
        port=port,
        user=url.username or "postgres",
        password=SecretStr(password),
        database=url.database or "postgres",
    )
