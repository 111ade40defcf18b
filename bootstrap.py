"""The only file that knows every layer: settings become adapters, storage and services, for one kind of process at a time."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from domain.errors import InvalidError
from outside import Base, configure_logs, keeps_orgs_apart, needed, open_base, run_process, settled, stage_host

if TYPE_CHECKING:
    from temporalio.client import Client

    from adapters.metrics import PrometheusMetrics
    from adapters.otel import Tracing
    from services.audit import Audit
    from services.connectors import Connectors
    from services.ports import Host, StageProcess
    from services.registry import Services
    from services.relay import Relay
    from settings import Settings

__all__ = ["WorkerParts", "api_services", "configure_logs", "run_process", "settled", "worker_parts"]


@dataclass(frozen=True)
class WorkerParts:
    """What a worker process serves its queues with, and what it does beside them for as long as it lives."""

    client: "Client"
    tracing: "Tracing"
    metrics: "PrometheusMetrics"
    activities: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    relay: "Relay | None" = None
    beside: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = ()

    def activities_of(self, queue: str) -> tuple[object, ...]:
        return self.activities.get(queue.partition("-")[0] if queue.startswith("execute-") else queue, ())


def _itself(client: "Client") -> "Client":
    return client


@asynccontextmanager
async def api_services(chosen: "Settings", *, through: Callable[["Client"], "Client"] = _itself) -> AsyncIterator["Services"]:
    """Everything the API serves, opened and closed with its process; tests put their clock in with `through`."""
    from services.registry import Services

    async with AsyncExitStack() as stack:
        base = await open_base(stack, chosen, through, service="suture-api")
        yield Services(**_use_cases(base, chosen), spans=base.tracing)


@asynccontextmanager
async def worker_parts(
    chosen: "Settings", *, through: Callable[["Client"], "Client"] = _itself, process: "StageProcess | None" = None
) -> AsyncIterator[WorkerParts]:
    """The activities of the queues the settings name, and the relay where `io` is served; `process` runs stages instead.

    Raises:
        InvalidError: no queue is named, or something that the named ones need is not set.
    """
    if not chosen.queues:
        raise InvalidError("settings: SUTURE_QUEUES is not set; it names the task queues that a worker serves")
    async with AsyncExitStack() as stack:
        base = await open_base(stack, chosen, through, service="suture-worker")
        if chosen.worker_metrics_port:
            stack.callback(base.metrics.serve(chosen.worker_metrics_port, host=chosen.metrics_host))
        host = stage_host(base, chosen) if _executes(chosen) else None
        cases = _use_cases(base, chosen)
        activities = _activities(base, cases, chosen, process or (host and host[0]), host and host[1])
        relay = await _relay(stack, base, chosen) if "io" in chosen.queues else None
        yield WorkerParts(
            client=base.client,
            activities=activities,
            relay=relay,
            tracing=base.tracing,
            metrics=base.metrics,
            beside=(
                *await _upkeep(stack, cases["audit"], chosen),
                *((relay.run,) if relay else ()),
                *((host[0].keep_clear,) if host else ()),
            ),
        )


def _use_cases(base: Base, chosen: "Settings") -> dict[str, Any]:
    connectors = _connectors(base, chosen)
    return _records(base, chosen, connectors) | _stories(base, chosen, connectors)


def _connectors(base: Base, chosen: "Settings") -> "Connectors":
    from adapters import secrets as sealer
    from adapters.reaching import Reach
    from adapters.redaction import PatternRedactor
    from adapters.sources import FEEDS, SOURCES
    from services.connectors import Connectors

    reach, credentials = Reach(chosen.reachable), PatternRedactor()
    return Connectors(base.database, base.ledger, base.keyring, sealer, (*SOURCES, *FEEDS), reach, credentials)


def _records(base: Base, chosen: "Settings", connectors: "Connectors") -> dict[str, Any]:
    """Who and what there is, and what was done and decided."""
    from adapters import secrets as sealer
    from adapters.checkpoints import CheckpointFolder
    from adapters.codec import WireDecoder
    from services.audit import Audit
    from services.codec import Decoding
    from services.decisions import Decisions
    from services.detecting import Detecting
    from services.detectors import Detectors
    from services.environments import Environments
    from services.health import Health
    from services.idempotency import IdempotencyKeys
    from services.identity import Identity
    from services.log_patterns import Patterns
    from services.monitoring import Monitoring
    from services.operations import Operations
    from services.principals import Principals
    from services.secrets import Secrets
    from services.seeing import Seeing
    from services.switches import Switches
    from services.workflows import Workflows

    database, ledger = base.database, base.ledger
    return {
        "audit": Audit(database, base.signer, CheckpointFolder(chosen.checkpoints or chosen.data / "checkpoints")),
        "blobs": base.blobs,
        "connectors": connectors,
        "codec": Decoding(WireDecoder(base.keyring)),
        "decisions": Decisions(database),
        "detecting": Detecting(),
        "detectors": Detectors(database, ledger),
        "environments": Environments(database, ledger),
        "health": Health(database, base.engine, base.policy),
        "idempotency": IdempotencyKeys(database),
        "identity": Identity(database, ledger, hmac_key=base.hmac_key),
        "monitoring": Monitoring(database),
        "operations": Operations(database),
        "patterns": Patterns(database, ledger),
        "policy": base.policy,
        "principals": Principals(database, ledger),
        "secrets": Secrets(database, ledger, base.keyring, sealer, connectors),
        "seeing": Seeing(database),
        "switches": Switches(database, ledger),
        "workflows": Workflows(database, ledger),
    }


def _stories(base: Base, chosen: "Settings", connectors: "Connectors") -> dict[str, Any]:
    """What happens, from a signal and a run to the plan that mends it."""
    from adapters.reaching import Reach
    from adapters.redaction import OrgRedactors
    from adapters.sources import FEEDS, SOURCES
    from domain.actions import CATALOG
    from services.admission import Admission
    from services.approvals import Approvals
    from services.asking import Asking
    from services.deciding import Deciding
    from services.decisions import Decisions
    from services.diagnosis import Diagnostics
    from services.guard import Guard
    from services.incidents import Incidents
    from services.intake import Intake
    from services.pipeline_runner import VERSION
    from services.pipelines import Pipelines
    from services.planning import Planning
    from services.receiving import Receiving
    from services.recovery import Recovery
    from services.redacting import Redacting
    from services.runs import Runs
    from services.trials import Trials

    database, ledger, guard = base.database, base.ledger, Guard(region=chosen.region)
    decisions, catalog = Decisions(database), {each.name: each for each in CATALOG}
    redacting = Redacting(database, ledger, OrgRedactors(base.hmac_key))
    intake = Intake(database, ledger, guard, redacting, Admission())
    sources = {each.kind: each for each in (*SOURCES, *FEEDS)}
    planning = Planning(database, ledger, decisions, base.policy, CATALOG, runner=VERSION)
    return {
        "approvals": Approvals(database, ledger, base.policy, base.engine),
        "asking": Asking(database, ledger, guard, decisions, base.policy, catalog),
        "deciding": Deciding(database, ledger, decisions, base.policy, catalog),
        "diagnostics": Diagnostics(database, ledger, decisions),
        "incidents": Incidents(database, ledger, guard),
        "intake": intake,
        "pipelines": Pipelines(database, ledger, guard),
        "planning": planning,
        "receiving": Receiving(database, ledger, intake, connectors, sources, Reach(chosen.reachable)),
        "trials": Trials(connectors, intake, sources),
        "redacting": redacting,
        "recovery": Recovery(database, ledger, guard, planning),
        "runs": Runs(database, ledger, guard, intake, lease=chosen.lease),
    }


def _activities(
    base: Base, cases: dict[str, Any], chosen: "Settings", process: "StageProcess | None", host: "Host | None"
) -> dict[str, tuple[object, ...]]:
    """The activities of each queue this process serves; only a pool that executes gets what reaches targets."""
    from activities.acting import Acting
    from activities.execution import Execution
    from activities.feeding import Feeding
    from activities.governance import Governance
    from activities.inference import Inference
    from activities.monitoring import Monitoring
    from activities.running import Running
    from activities.watching import Watching
    from adapters.feeding import Databases
    from adapters.reaching import Reach
    from domain.actions import CATALOG
    from services import feeding
    from services.guard import Guard
    from services.monitors import Monitors
    from services.pools import Pools
    from services.preflights import Preflights
    from services.remediation import Remediation
    from services.stages import Stages
    from services.weighing import Weighing

    guard = Guard(region=chosen.region, keeps_orgs_apart=keeps_orgs_apart())
    catalog = {each.name: each for each in CATALOG}
    runners = {"pipeline": _pipeline_runner(base, cases, guard, process, chosen)}
    weighing = Weighing(base.database, base.policy, catalog)
    preflights = Preflights(base.database, base.ledger, guard, cases["decisions"], weighing, cases["intake"], runners)
    remediation = Remediation(
        base.database, base.ledger, guard, cases["decisions"], weighing, runners, base.signer, lease=chosen.lease
    )
    monitors = Monitors(base.database, base.ledger, cases["incidents"])
    databases = Databases(Reach(chosen.reachable))
    follower = feeding.Feeding(base.database, cases["connectors"], cases["receiving"], databases)
    found: dict[str, tuple[object, ...]] = {
        "io": (
            Running(cases["runs"]),
            Governance(
                cases["incidents"],
                cases["planning"],
                preflights,
                cases["asking"],
                cases["deciding"],
                cases["recovery"],
                monitors,
                base.metrics,
            ),
            Acting(remediation, base.metrics),
            Watching(Pools(base.database, base.ledger), base.metrics),
            Feeding(follower),
        ),
        "inference": (Inference(cases["diagnostics"]), Monitoring(monitors, quiet=chosen.watch_quiet)),
    }
    if process is not None and host is not None:
        stages = Stages(base.database, base.ledger, guard, cases["secrets"], process, host, lease=chosen.lease)
        found["execute"] = (Execution(stages, preflights, remediation),)
    return found


def _pipeline_runner(base: Base, cases: dict[str, Any], guard: Any, process: Any, chosen: "Settings") -> Any:
    from services.pipeline_runner import PipelineRunner
    from services.rehearsal import Rehearsal

    return PipelineRunner(base.database, guard, Rehearsal(base.database, guard, cases["secrets"], process), lease=chosen.lease)


async def _relay(stack: AsyncExitStack, base: Base, chosen: "Settings") -> "Relay":
    from services.relay import Relay
    from storage.engine import open_engine
    from storage.outbox import Outbox

    engine = open_engine(needed(chosen, "database_relay_url").get_secret_value(), size=6, name="suture-relay")
    stack.push_async_callback(engine.dispose)
    return Relay(Outbox(engine), base.database, base.engine, base.ledger, metrics=base.metrics)


async def _upkeep(
    stack: AsyncExitStack, audit: "Audit", chosen: "Settings"
) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
    """Beside `io`, where the settings name its role; it has the last word once the queues are drained."""
    from services.checkpoints import Checkpoints
    from services.upkeep import Retention, Upkeep
    from storage.engine import open_engine
    from storage.upkeep import Heads, Removals

    if "io" not in chosen.queues or chosen.database_upkeep_url is None:
        return ()
    engine = open_engine(chosen.database_upkeep_url.get_secret_value(), size=2, name="suture-upkeep")
    stack.push_async_callback(engine.dispose)
    retention = Retention(chosen.keep_signals, chosen.keep_minutes, chosen.keep_five_minutes)
    upkeep = Upkeep(Removals(engine), Checkpoints(Heads(engine), audit), retention)
    stack.push_async_callback(upkeep.finish)
    return (upkeep.run,)


def _executes(chosen: "Settings") -> bool:
    return any(queue.startswith("execute-") for queue in chosen.queues)
