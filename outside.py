"""What a process reaches outside of itself, as its settings name it: database, engine, policy, keys, the host of stages."""

import asyncio
import gc
import os
import secrets
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.errors import HealError, InvalidError

if TYPE_CHECKING:
    from temporalio.client import Client

    from settings import Settings

STAGE_UIDS = range(60_700, 60_900)
_HMAC_BYTES = 32
_COLLECT_AFTER = 20_000
"""So many new objects, which is a batch of a few hundred signals."""


@dataclass(frozen=True)
class Base:
    """What every process needs: the database, the engine, policy, keys, blobs."""

    client: "Client"
    database: Any
    engine: Any
    policy: Any
    keyring: Any
    ledger: Any
    signer: Any
    blobs: Any
    tracing: Any
    metrics: Any
    hmac_key: bytes


def configure_logs(chosen: "Settings") -> None:
    """One JSON line per event on standard error, secrets redacted."""
    import logging

    from adapters.logs import configure

    configure(sys.stderr, level=logging.getLevelNamesMapping()[chosen.log_level])


def run_process(serve: Callable[["Settings"], Coroutine[Any, Any, None]]) -> int:
    """Serve with the settings of this process, and log JSON; the exit code, as `suture` has them.

    What keeps it from serving is one sentence on standard error.
    """
    import settings

    try:
        chosen = settings.load()
        configure_logs(chosen)
        _start(chosen)(serve(chosen))
    except HealError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2 if isinstance(error, InvalidError) else 1
    return 0


def settled() -> None:
    """Say that a process has loaded what it stays with: the garbage collector looks at that no more.

    Each of its full passes stands still for as long as all of it takes, a tenth of a second; and batches are many objects that
    come and go at once, so it looks at what is new less often, too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _start(chosen: "Settings") -> Callable[[Coroutine[Any, Any, None]], None]:
    """The faster loop, but where stages are started: it cannot start a process as another user."""
    import uvloop

    return asyncio.run if any(queue.startswith("execute-") for queue in chosen.queues) else uvloop.run


async def open_base(
    stack: AsyncExitStack, chosen: "Settings", through: Callable[["Client"], "Client"], *, service: str
) -> Base:
    from adapters.blobs import DirectoryBlobs
    from adapters.metrics import PrometheusMetrics
    from adapters.opa import OpaPolicy
    from adapters.otel import open_tracing
    from adapters.secrets import MasterKeyFile
    from adapters.signing import Ed25519Signer
    from services.keyring import OrgKeyring
    from services.ledger import Ledger
    from storage.engine import Database, open_engine
    from workflows.client import TemporalEngine

    database = Database(open_engine(needed(chosen, "database_url").get_secret_value(), size=chosen.database_pool))
    stack.push_async_callback(database.close)
    metrics = PrometheusMetrics(chosen.environments)
    tracing = open_tracing(chosen.otlp_endpoint, service=service, region=chosen.region)
    stack.push_async_callback(tracing.close)
    keyring = OrgKeyring(database, MasterKeyFile(key_file(chosen, "master_key_file", "master.key")))
    client = through(await _connected(chosen, keyring, tracing, metrics))
    return Base(
        client=client,
        database=database,
        engine=TemporalEngine(client),
        policy=await stack.enter_async_context(OpaPolicy(needed(chosen, "opa_url"))),
        keyring=keyring,
        ledger=Ledger(),
        signer=Ed25519Signer(key_file(chosen, "signing_key_file", "signing.key")),
        blobs=DirectoryBlobs(chosen.blobs or chosen.data / "blobs"),
        tracing=tracing,
        metrics=metrics,
        hmac_key=hmac_key(chosen),
    )


async def _connected(chosen: "Settings", keyring: Any, tracing: Any, metrics: Any) -> "Client":
    from adapters.codec import data_converter
    from workflows.client import connect

    return await connect(
        needed(chosen, "temporal_address"),
        data_converter(keyring),
        namespace=chosen.temporal_namespace,
        tls=_tls(chosen),
        runtime=runtime(chosen),
        spans=tracing,
        metrics=metrics,
    )


def stage_host(base: Base, chosen: "Settings") -> tuple[Any, Any]:
    from adapters.runners.identity import StageIdentity
    from adapters.runners.process import Pace, ProcessRunner
    from adapters.runners.supervisor import LocalHost

    identity = StageIdentity(STAGE_UIDS if keeps_orgs_apart() else None)
    workspace = chosen.workspace or Path("/var/tmp/suture-stages" if os.geteuid() == 0 else chosen.data / "stages")  # noqa: S108
    interpreter = chosen.stage_python or _stage_python(identity)
    process = ProcessRunner(base.blobs, workspace, identity, interpreter=interpreter, pace=Pace(lease=chosen.lease))
    return process, LocalHost()


def keeps_orgs_apart() -> bool:
    """Whether a stage on this host runs as a user of its own, which only root can give it."""
    return os.geteuid() == 0


def _stage_python(identity: Any) -> Path:
    """The Python behind this environment, or the system's where a stage's uid cannot reach that one."""
    from adapters.runners.identity import unreachable

    base = Path(getattr(sys, "_base_executable", sys.executable))
    if identity.uids is None or unreachable(base) is None:
        return base
    return Path("/usr/bin/python3")


def hmac_key(chosen: "Settings") -> bytes:
    """The key behind token HMACs, made once beside the master key."""
    from adapters.private_file import read_or_create

    return read_or_create(key_file(chosen, "hmac_key_file", "hmac.key"), lambda: secrets.token_bytes(_HMAC_BYTES))


def kms(chosen: "Settings") -> Any:
    """What wraps the keys of orgs, for provisioning."""
    from adapters.secrets import MasterKeyFile

    return MasterKeyFile(key_file(chosen, "master_key_file", "master.key"))


def runtime(chosen: "Settings") -> Any:
    """The engine SDK's own metrics, on a port of this process where one is set."""
    from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

    if not chosen.metrics_port:
        return None
    metrics = PrometheusConfig(
        bind_address=f"{chosen.metrics_host}:{chosen.metrics_port}", durations_as_seconds=True, counters_total_suffix=True
    )
    return Runtime(telemetry=TelemetryConfig(metrics=metrics))


def _tls(chosen: "Settings") -> Any:
    from temporalio.service import TLSConfig

    if chosen.temporal_tls_ca is None and chosen.temporal_tls_cert is None:
        return None
    return TLSConfig(
        server_root_ca_cert=_content(chosen.temporal_tls_ca),
        client_cert=_content(chosen.temporal_tls_cert),
        client_private_key=_content(chosen.temporal_tls_key),
    )


def _content(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise InvalidError(f"settings: {path}: {error.strerror}") from error


def key_file(chosen: "Settings", name: str, default: str) -> Path:
    path: Path = getattr(chosen, name) or chosen.data / "keys" / default
    return path


def needed(chosen: "Settings", name: str) -> Any:
    value = getattr(chosen, name)
    if value is None:
        raise InvalidError(f"settings: SUTURE_{name.upper()} is not set; `suture up` sets it on one machine")
    return value
