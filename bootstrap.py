"""The only file that knows every layer: settings become adapters, storage and services, for one kind of process at a time."""

import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.errors import InvalidError

if TYPE_CHECKING:
    from temporalio.client import Client

    from adapters.metrics import PrometheusMetrics
    from adapters.otel import Tracing
    from services.ports import StageProcess
    from services.registry import Services
    from services.relay import Relay
    from settings import Settings

STAGE_UIDS = range(60_700, 60_900)
_HMAC_BYTES = 32


@dataclass(frozen=True)
class WorkerParts:
    """What a worker process serves its queues with."""

    client: "Client"
    tracing: "Tracing"
    metrics: "PrometheusMetrics"
    activities: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    relay: "Relay | None" = None

    def activities_of(self, queue: str) -> tuple[object, ...]:
        return self.activities.get(queue.partition("-")[0] if queue.startswith("execute-") else queue, ())


def _itself(client: "Client") -> "Client":
    return client


@asynccontextmanager
async def api_services(chosen: "Settings", *, through: Callable[["Client"], "Client"] = _itself) -> AsyncIterator["Services"]:
    """Everything the API serves, opened and closed with its process; tests put their clock in with `through`."""
    from services.registry import Services

    async with AsyncExitStack() as stack:
        base = await _base(stack, chosen, through, service="suture-api")
        yield Services(**_use_cases(base, chosen), spans=base.tracing)


@asynccontextmanager
async def worker_parts(
    chosen: "Settings", *, through: Callable[["Client"], "Client"] = _itself, process: "StageProcess | None" = None
) -> AsyncIterator[WorkerParts]:
    """The activities of the queues the settings name, and the relay where `io` is served; `process` runs stages instead."""
    async with AsyncExitStack() as stack:
        base = await _base(stack, chosen, through, service="suture-worker")
        if chosen.worker_metrics_port:
            stack.callback(base.metrics.serve(chosen.worker_metrics_port))
        cases = _use_cases(base, chosen)
        activities = _activities(base, cases, chosen, process)
        relay = await _relay(stack, base, chosen) if "io" in chosen.queues else None
        yield WorkerParts(client=base.client, activities=activities, relay=relay, tracing=base.tracing, metrics=base.metrics)


@dataclass(frozen=True)
class _Base:
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


async def _base(stack: AsyncExitStack, chosen: "Settings", through: Callable[["Client"], "Client"], *, service: str) -> _Base:
    from adapters.blobs import DirectoryBlobs
    from adapters.codec import data_converter
    from adapters.metrics import PrometheusMetrics
    from adapters.opa import OpaPolicy
    from adapters.otel import open_tracing
    from adapters.secrets import MasterKeyFile
    from adapters.signing import Ed25519Signer
    from services.keyring import OrgKeyring
    from services.ledger import Ledger
    from storage.engine import Database, open_engine
    from workflows.client import TemporalEngine, connect

    database = Database(open_engine(_needed(chosen, "database_url").get_secret_value(), size=chosen.database_pool))
    stack.push_async_callback(database.close)
    tracing, metrics = open_tracing(chosen.otlp_endpoint, service=service, region=chosen.region), PrometheusMetrics()
    stack.push_async_callback(tracing.close)
    keyring = OrgKeyring(database, MasterKeyFile(_file(chosen, "master_key_file", "master.key")))
    client = await connect(
        _needed(chosen, "temporal_address"),
        data_converter(keyring),
        namespace=chosen.temporal_namespace,
        tls=_tls(chosen),
        runtime=_runtime(chosen),
        spans=tracing,
        metrics=metrics,
    )
    client = through(client)
    return _Base(
        client=client,
        database=database,
        engine=TemporalEngine(client),
        policy=await stack.enter_async_context(OpaPolicy(_needed(chosen, "opa_url"))),
        keyring=keyring,
        ledger=Ledger(),
        signer=Ed25519Signer(_file(chosen, "signing_key_file", "signing.key")),
        blobs=DirectoryBlobs(chosen.blobs or chosen.data / "blobs"),
        tracing=tracing,
        metrics=metrics,
        hmac_key=hmac_key(chosen),
    )


def _use_cases(base: _Base, chosen: "Settings") -> dict[str, Any]:
    from adapters import secrets as sealer
    from adapters.checkpoints import CheckpointFolder
    from adapters.codec import WireDecoder
    from domain.actions import CATALOG
    from services.approvals import Approvals
    from services.audit import Audit
    from services.codec import Decoding
    from services.decisions import Decisions
    from services.diagnosis import Diagnostics
    from services.environments import Environments
    from services.guard import Guard
    from services.health import Health
    from services.idempotency import IdempotencyKeys
    from services.identity import Identity
    from services.incidents import Incidents
    from services.intake import Intake
    from services.operations import Operations
    from services.pipeline_runner import VERSION
    from services.pipelines import Pipelines
    from services.planning import Planning
    from services.principals import Principals
    from services.recovery import Recovery
    from services.runs import Runs
    from services.secrets import Secrets
    from services.switches import Switches
    from services.workflows import Workflows

    database, ledger, policy = base.database, base.ledger, base.policy
    guard = Guard(region=chosen.region)
    decisions = Decisions(database)
    intake = Intake(database, ledger, guard)
    planning = Planning(database, ledger, decisions, policy, CATALOG, runner=VERSION)
    return {
        "approvals": Approvals(database, ledger, guard, policy, base.engine, {each.name: each for each in CATALOG}),
        "audit": Audit(database, base.signer, CheckpointFolder(chosen.checkpoints or chosen.data / "checkpoints")),
        "blobs": base.blobs,
        "codec": Decoding(WireDecoder(base.keyring)),
        "decisions": decisions,
        "diagnostics": Diagnostics(database, ledger, decisions),
        "environments": Environments(database, ledger),
        "health": Health(database, base.engine, policy),
        "idempotency": IdempotencyKeys(database),
        "identity": Identity(database, ledger, hmac_key=base.hmac_key),
        "incidents": Incidents(database, ledger, guard),
        "intake": intake,
        "operations": Operations(database),
        "pipelines": Pipelines(database, ledger, guard),
        "planning": planning,
        "policy": policy,
        "principals": Principals(database, ledger),
        "recovery": Recovery(database, ledger, guard, planning),
        "runs": Runs(database, ledger, guard, intake, lease=chosen.lease),
        "secrets": Secrets(database, ledger, base.keyring, sealer),
        "switches": Switches(database, ledger),
        "workflows": Workflows(database, ledger),
    }


def _activities(
    base: _Base, cases: dict[str, Any], chosen: "Settings", instead: "StageProcess | None"
) -> dict[str, tuple[object, ...]]:
    """The activities of each queue this process serves; only a pool that executes gets what reaches targets."""
    from activities.acting import Acting
    from activities.execution import Execution
    from activities.governance import Governance
    from activities.inference import Inference
    from activities.running import Running
    from domain.actions import CATALOG
    from services.guard import Guard
    from services.preflights import Preflights
    from services.remediation import Remediation
    from services.stages import Stages

    guard = Guard(region=chosen.region)
    catalog = {each.name: each for each in CATALOG}
    process, host = _process(base, chosen) if _executes(chosen) else (None, None)
    process = instead or process
    runners = {"pipeline": _pipeline_runner(base, cases, process, chosen)}
    preflights = Preflights(base.database, base.ledger, guard, cases["decisions"], base.policy, runners, catalog)
    remediation = Remediation(
        base.database, base.ledger, guard, cases["decisions"], base.policy, runners, base.signer, lease=chosen.lease
    )
    found: dict[str, tuple[object, ...]] = {
        "io": (
            Running(cases["runs"]),
            Governance(cases["incidents"], cases["planning"], preflights, cases["approvals"], cases["recovery"], base.metrics),
            Acting(remediation, base.metrics),
        ),
        "inference": (Inference(cases["diagnostics"]),),
    }
    if process is not None and host is not None:
        stages = Stages(base.database, base.ledger, guard, cases["secrets"], process, host, lease=chosen.lease)
        found["execute"] = (Execution(stages, preflights, remediation),)
    return found


def _pipeline_runner(base: _Base, cases: dict[str, Any], process: Any, chosen: "Settings") -> Any:
    from services.pipeline_runner import PipelineRunner
    from services.rehearsal import Rehearsal

    return PipelineRunner(base.database, Rehearsal(base.database, cases["secrets"], process), lease=chosen.lease)


def _process(base: _Base, chosen: "Settings") -> tuple[Any, Any]:
    from adapters.runners.identity import StageIdentity
    from adapters.runners.process import Pace, ProcessRunner
    from adapters.runners.supervisor import LocalHost

    identity = StageIdentity(STAGE_UIDS if os.geteuid() == 0 else None)
    workspace = chosen.workspace or Path("/var/tmp/suture-stages" if os.geteuid() == 0 else chosen.data / "stages")  # noqa: S108
    interpreter = chosen.stage_python or _stage_python(identity)
    process = ProcessRunner(base.blobs, workspace, identity, interpreter=interpreter, pace=Pace(lease=chosen.lease))
    return process, LocalHost()


def _stage_python(identity: Any) -> Path:
    """The Python behind this environment, or the system's where a stage's uid cannot reach that one."""
    from adapters.runners.identity import unreachable

    base = Path(getattr(sys, "_base_executable", sys.executable))
    if identity.uids is None or unreachable(base) is None:
        return base
    return Path("/usr/bin/python3")


async def _relay(stack: AsyncExitStack, base: _Base, chosen: "Settings") -> "Relay":
    from services.relay import Relay
    from storage.engine import open_engine
    from storage.outbox import Outbox

    engine = open_engine(_needed(chosen, "database_relay_url").get_secret_value(), size=4, name="suture-relay")
    stack.push_async_callback(engine.dispose)
    return Relay(Outbox(engine), base.database, base.engine, metrics=base.metrics)


def hmac_key(chosen: "Settings") -> bytes:
    """The key behind token HMACs, made once beside the master key."""
    from adapters.private_file import read_or_create

    return read_or_create(_file(chosen, "hmac_key_file", "hmac.key"), lambda: secrets.token_bytes(_HMAC_BYTES))


def kms(chosen: "Settings") -> Any:
    """What wraps the keys of orgs, for provisioning."""
    from adapters.secrets import MasterKeyFile

    return MasterKeyFile(_file(chosen, "master_key_file", "master.key"))


def _executes(chosen: "Settings") -> bool:
    return any(queue.startswith("execute-") for queue in chosen.queues)


def configure_logs(chosen: "Settings") -> None:
    """One JSON line per event on standard error, secrets redacted."""
    import logging

    from adapters.logs import configure

    configure(sys.stderr, level=logging.getLevelNamesMapping().get(chosen.log_level, logging.INFO))


def _runtime(chosen: "Settings") -> Any:
    """The engine SDK's own metrics, on a port of this process where one is set."""
    from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

    if not chosen.metrics_port:
        return None
    metrics = PrometheusConfig(
        bind_address=f"127.0.0.1:{chosen.metrics_port}", durations_as_seconds=True, counters_total_suffix=True
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
    return path.read_bytes() if path else None


def _file(chosen: "Settings", name: str, default: str) -> Path:
    path: Path = getattr(chosen, name) or chosen.data / "keys" / default
    return path


def _needed(chosen: "Settings", name: str) -> Any:
    value = getattr(chosen, name)
    if value is None:
        raise InvalidError(f"settings: SUTURE_{name.upper()} is not set; `suture up` sets it on one machine")
    return value
