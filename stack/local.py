"""The whole stack on one machine: lock the data directory, start what is not elsewhere already, stop it all."""

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from pydantic import Field

from domain.base import Value
from domain.errors import InvalidError, UnavailableError
from stack import ports
from stack.bundle import Built, Sources
from stack.child import ChildSpec, Probe, Report
from stack.engine import NAMESPACE, Certificates, Door, Engine
from stack.lock import DirectoryLock
from stack.policy import Policy
from stack.postgres import Postgres, PostgresAddress
from stack.probe import is_well
from stack.supervise import Supervisor
from stack.tools import Search, Tool, find


class Elsewhere(Value):
    """Servers that run somewhere else; what has an address here is not started."""

    postgres: PostgresAddress | None = None
    temporal_address: str | None = None
    temporal_namespace: str = NAMESPACE
    temporal_certificates: Certificates = Certificates()
    temporal_ui_url: str | None = None
    opa_url: str | None = None


class Preferred(Value):
    """The ports to take when they are free; 0 is any. PostgreSQL listens on TCP only when it has one."""

    temporal: int = 7233
    temporal_ui: int = 8233
    opa: int = 8181
    postgres: int | None = None


class Plan(Value):
    """What to start and how. `durable=False` and `time_skipping=True` are for tests."""

    tools: Search
    policies: Sources
    search_attributes: Mapping[str, str] = Field(default_factory=dict)
    codec_endpoint: str | None = None
    elsewhere: Elsewhere = Elsewhere()
    preferred: Preferred = Preferred()
    durable: bool = True
    time_skipping: bool = False


@contextmanager
def scratch() -> Iterator[Path]:
    """A data directory for one test, removed afterwards.

    As root it must be one that PostgreSQL's account can enter, which pytest's own folders are not: below those
    the cluster would get a folder elsewhere that nobody removes.
    """
    with tempfile.TemporaryDirectory(prefix="suture-test-") as folder:
        _own(Path(folder))
        yield Path(folder)


def disposable(plan: Plan) -> Plan:
    """The same plan for a stack that is thrown away after a test: any ports, no fsync, time skipping."""
    anywhere = Preferred(temporal=0, temporal_ui=0, opa=0)
    return plan.model_copy(update={"preferred": anywhere, "durable": False, "time_skipping": True})


class Endpoints(Value):
    """Where everything answers."""

    postgres: PostgresAddress
    temporal_address: str
    temporal_ui_url: str | None
    opa_url: str


class Stack:
    """PostgreSQL, Temporal and OPA under one supervisor, with all their state in `data`.

    Start it from the thread that lives as long as the process: a child is signalled when its parent thread ends.
    """

    def __init__(self, data: Path, plan: Plan, *, report: Report) -> None:
        self._data = data.absolute()
        self._plan = plan
        self._report = report
        self._lock: DirectoryLock | None = None
        self._supervisor: Supervisor | None = None
        self._postgres: Postgres | None = None
        self._policy: Policy | None = None

    async def start(self) -> Endpoints:
        """Returns when all three are well; what was started stops again when one fails.

        Raises:
            ConflictError: another process owns the data directory.
            UnavailableError: a tool or a server is missing; the message says what helps.
            InvalidError: the policies do not build and there is no earlier bundle.
        """
        _own(self._data)
        self._lock = await asyncio.to_thread(DirectoryLock(self._data).take)
        try:
            kept_open = (self._lock.descriptor,)
            self._supervisor = Supervisor(self._data / "logs", report=self._report, kept_open=kept_open)
            await self._supervisor.open()
            return await self._start_all()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop every child in reverse order and give the data directory back."""
        if self._supervisor is not None:
            await self._supervisor.close()
            self._supervisor = None
        if self._postgres is not None:
            self._postgres.clean()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def __aenter__(self) -> Endpoints:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def run_child(self, spec: ChildSpec, ready: Probe | None = None) -> None:
        """Add a process of the application; see `Supervisor.run`."""
        await self.supervisor.run(spec, ready)

    async def wait(self) -> None:
        """Return never; raises UnavailableError when a child is dead for good."""
        await self.supervisor.wait()

    async def reload_policies(self) -> Built:
        """Build the bundle again and serve it; the last good one stays when that fails."""
        if self._policy is None:
            raise InvalidError("the policy server is not ours, so its bundle is not either")
        built = await self._build(self._policy)
        if built.refusal is None:
            await self.supervisor.restart("opa")
        return built

    @property
    def supervisor(self) -> Supervisor:
        if self._supervisor is None:
            raise UnavailableError("the stack is not running")
        return self._supervisor

    async def _start_all(self) -> Endpoints:
        temporal, ui, opa, tcp = ports.choose(*_wanted(self._plan.preferred))
        try:
            async with asyncio.TaskGroup() as group:
                database = group.create_task(self._start_postgres(tcp))
                engine = group.create_task(self._start_engine(temporal, ui))
                policy = group.create_task(self._start_policy(opa))
        except BaseExceptionGroup as failed:
            raise first_error(failed) from failed
        address, ui_url = engine.result()
        return Endpoints(postgres=database.result(), temporal_address=address, temporal_ui_url=ui_url, opa_url=policy.result())

    async def _start_postgres(self, tcp_port: int) -> PostgresAddress:
        if (address := self._plan.elsewhere.postgres) is not None:
            await _expect("PostgreSQL", f"{address.host}:{address.port}", address.answers)
            return address
        chosen = None if self._plan.preferred.postgres is None else tcp_port
        self._postgres = Postgres(self._data, durable=self._plan.durable, tcp_port=chosen)
        await self._postgres.prepare()
        await self.run_child(self._postgres.spec(), self._postgres.is_ready)
        self._report("PostgreSQL is ready")
        return self._postgres.address

    async def _start_engine(self, port: int, ui_port: int) -> tuple[str, str | None]:
        elsewhere = self._plan.elsewhere
        if (address := elsewhere.temporal_address) is not None:
            door = Door(address, namespace=elsewhere.temporal_namespace, certificates=elsewhere.temporal_certificates)
            await _expect(f"Temporal with the namespace {elsewhere.temporal_namespace}", address, door.answers)
            return address, elsewhere.temporal_ui_url
        engine = Engine(
            await self._tool(Tool.TEMPORAL),
            self._data,
            port=port,
            ui_port=ui_port,
            search_attributes=self._plan.search_attributes,
            codec_endpoint=self._plan.codec_endpoint,
            time_skipping=self._plan.time_skipping,
        )
        await self.run_child(engine.spec(), engine.is_ready)
        self._report("Temporal is ready")
        return engine.address, engine.ui_url

    async def _start_policy(self, port: int) -> str:
        if (url := self._plan.elsewhere.opa_url) is not None:
            await _expect("OPA", url, lambda: is_well(f"{url.rstrip('/')}/health"))
            return url
        self._policy = Policy(await self._tool(Tool.OPA), self._data, self._plan.policies, port=port)
        await self._build(self._policy)
        await self.run_child(self._policy.spec(), self._policy.is_ready)
        self._report("OPA is ready")
        return self._policy.url

    async def _tool(self, tool: Tool) -> Path:
        return (await find(tool, self._plan.tools, self._report)).path

    async def _build(self, policy: Policy) -> Built:
        built = await policy.build()
        if built.refusal is not None:
            self._report(f"policies: the earlier bundle {built.revision[:12]} stays in force, because {built.refusal}")
        return built


def _own(data: Path) -> None:
    """Only we may look inside. As root others may pass through: PostgreSQL runs as an ordinary account below it."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(PermissionError):
        data.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _wanted(preferred: Preferred) -> tuple[int, ...]:
    return preferred.temporal, preferred.temporal_ui, preferred.opa, preferred.postgres or 0


async def _expect(server: str, where: str, answers: Probe) -> None:
    if not await answers():
        raise UnavailableError(f"{server} is set to {where} and does not answer there")


def first_error(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first single error inside the group."""
    for error in failed.exceptions:
        return first_error(error) if isinstance(error, BaseExceptionGroup) else error
    return failed
