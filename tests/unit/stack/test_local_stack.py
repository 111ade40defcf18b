"""The three servers together: one owner per directory, addresses, policies, servers that run elsewhere."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from domain.errors import ConflictError, InvalidError, UnavailableError
from stack.bundle import Sources
from stack.engine import Certificates, Door
from stack.local import Elsewhere, Endpoints, Plan, Stack, disposable, scratch
from stack.tools import Search, default_cache
from tests.engine import until
from tests.unit.stack.tls import secured, write_certificates

MODULES = Path(__file__).parents[3] / "tools"
RULE = "package gate\n\ndefault allow := false\n\nallow if data.limits.most > 1\n"


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    written = tmp_path_factory.mktemp("policies")
    (written / "gate.rego").write_text(RULE)
    (written / "limits.json").write_text('{"limits": {"most": 2}}')
    tools = Search(modules=MODULES, cache=default_cache(), path=os.environ["PATH"])
    sources = Sources(rego=written, data=written)
    return disposable(Plan(tools=tools, policies=sources, search_attributes={"OrgId": "Keyword"}))


@pytest.fixture(scope="module")
async def running(data: Path, plan: Plan) -> AsyncIterator[tuple[Stack, Endpoints]]:
    stack = Stack(data, plan, report=lambda _: None)
    yield stack, await stack.start()
    await stack.stop()


async def allowed(endpoints: Endpoints) -> object:
    async with httpx2.AsyncClient() as web:
        answer = await web.post(f"{endpoints.opa_url}/v1/data/gate/allow", json={"input": {}})
    return answer.json().get("result")


async def test_all_three_answer(running: tuple[Stack, Endpoints]) -> None:
    """When start returns, a query, a workflow client and a policy question succeed at once."""
    _, endpoints = running
    assert await endpoints.postgres.answers()
    assert await (await Client.connect(endpoints.temporal_address)).count_workflows('OrgId = "none"')
    assert await allowed(endpoints) is True


async def test_policy_server_takes_no_policies_from_strangers(running: tuple[Stack, Endpoints]) -> None:
    """Only the signed bundle says what is allowed."""
    _, endpoints = running
    async with httpx2.AsyncClient() as web:
        answer = await web.put(f"{endpoints.opa_url}/v1/policies/mine", content="package mine\n")
        numbers = await web.put(f"{endpoints.opa_url}/v1/data/limits/most", json=0)
    assert (answer.status_code, numbers.status_code) == (400, 400)
    assert await allowed(endpoints) is True


async def test_reload_serves_new_numbers_and_survives_bad_ones(running: tuple[Stack, Endpoints], plan: Plan) -> None:
    """A good change is served after a reload; a bad one is refused and changes nothing."""
    stack, endpoints = running
    numbers = plan.policies.rego / "limits.json"
    numbers.write_text('{"limits": {"most": 0}}')
    assert (await stack.reload_policies()).refusal is None
    assert await allowed(endpoints) is False
    numbers.write_text("{")
    assert (await stack.reload_policies()).refusal
    assert await allowed(endpoints) is False
    numbers.write_text('{"limits": {"most": 2}}')
    await stack.reload_policies()


async def test_second_owner_is_refused_by_number(running: tuple[Stack, Endpoints], data: Path, plan: Plan) -> None:
    """A second stack on the same directory is refused and told who owns it."""
    assert running
    with pytest.raises(ConflictError, match=rf"in use by process {os.getpid()};"):
        await Stack(data, plan, report=lambda _: None).start()


async def test_servers_elsewhere_are_not_started(running: tuple[Stack, Endpoints], plan: Plan) -> None:
    """With three addresses given nothing is started, and the addresses come back."""
    _, there = running
    elsewhere = Elsewhere(postgres=there.postgres, temporal_address=there.temporal_address, opa_url=there.opa_url)
    with scratch() as folder:
        stack = Stack(folder, plan.model_copy(update={"elsewhere": elsewhere}), report=lambda _: None)
        async with stack as endpoints:
            assert stack.supervisor.names() == ()
            assert endpoints == there.model_copy(update={"temporal_ui_url": None})


async def test_silent_server_elsewhere_is_named(plan: Plan) -> None:
    """An address that does not answer is an error with that address, and the directory is free again."""
    given = plan.model_copy(update={"elsewhere": Elsewhere(opa_url="http://127.0.0.1:9")})
    with scratch() as folder:
        for _ in range(2):
            with pytest.raises(UnavailableError, match=r"OPA is set to http://127\.0\.0\.1:9 and does not answer"):
                await Stack(folder, given, report=lambda _: None).start()


async def test_an_engine_elsewhere_is_asked_for_its_namespace(running: tuple[Stack, Endpoints], plan: Plan) -> None:
    """One that the server has is enough; one that it has not is named."""
    _, there = running
    service = (await Client.connect(there.temporal_address)).workflow_service
    kept = Duration(seconds=86_400)
    await service.register_namespace(RegisterNamespaceRequest(namespace="other", workflow_execution_retention_period=kept))
    elsewhere = Elsewhere(postgres=there.postgres, opa_url=there.opa_url, temporal_address=there.temporal_address)

    async def answers() -> bool:
        return await Door(there.temporal_address, namespace="other").answers()

    await until(answers, within=30, why="the server knows its new namespace")
    assert await started(plan, elsewhere.model_copy(update={"temporal_namespace": "other"})) == there.temporal_address
    with pytest.raises(UnavailableError, match="Temporal with the namespace absent is set to"):
        await started(plan, elsewhere.model_copy(update={"temporal_namespace": "absent"}))


async def test_servers_behind_tls_are_reached(running, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that asks for our certificate and a policy server over https answer; without one the engine does not."""
    _, there = running
    files = write_certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
    opa_port = urlsplit(there.opa_url).port
    async with (
        secured(there.temporal_address, files, alpn="h2", asks=True) as engine,
        secured(f"127.0.0.1:{opa_port}", files, alpn="http/1.1", asks=False) as policy,
    ):
        elsewhere = Elsewhere(
            postgres=there.postgres,
            temporal_address=f"localhost:{engine}",
            temporal_certificates=Certificates(ca=files.ca, cert=files.cert, key=files.key),
            opa_url=f"https://localhost:{policy}",
        )
        assert await started(plan, elsewhere) == f"localhost:{engine}"
        with pytest.raises(UnavailableError, match="Temporal"):
            await started(plan, elsewhere.model_copy(update={"temporal_certificates": Certificates(ca=files.ca)}))


async def test_a_certificate_that_is_not_there_is_named(plan: Plan, tmp_path: Path) -> None:
    """The file, and what is wrong with it."""
    missing = Certificates(ca=tmp_path / "ca.pem")
    with pytest.raises(InvalidError, match=r"ca\.pem: No such file"):
        await started(plan, Elsewhere(temporal_address="localhost:1", temporal_certificates=missing))


async def started(plan: Plan, elsewhere: Elsewhere) -> str:
    """Where the engine is, for a stack that finds its servers elsewhere."""
    with scratch() as folder:
        async with Stack(folder, plan.model_copy(update={"elsewhere": elsewhere}), report=lambda _: None) as endpoints:
            return endpoints.temporal_address
