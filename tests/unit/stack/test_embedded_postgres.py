"""The embedded PostgreSQL: who may connect, and that a kill costs nothing."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from stack import orphan
from stack.account import Account, can_enter, home
from stack.child import ChildSpec
from stack.local import scratch
from stack.pgfiles import copied, wheel_tree
from stack.postgres import Postgres, PostgresAddress
from stack.supervise import Supervisor


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


@pytest.fixture
async def supervisor(data: Path) -> AsyncIterator[Supervisor]:
    made = Supervisor(data / "logs", report=lambda _: None)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def server(data: Path, supervisor: Supervisor) -> Postgres:
    postgres = Postgres(data, durable=False)
    await postgres.prepare()
    await supervisor.run(postgres.spec(), postgres.is_ready)
    return postgres


async def connect(address: PostgresAddress, password: str | None = None) -> asyncpg.Connection:
    secret = address.password.get_secret_value() if password is None else password
    return await asyncpg.connect(host=address.host, port=address.port, user=address.user, password=secret, database="postgres")


async def ask(address: PostgresAddress, query: str) -> str:
    connection = await connect(address)
    try:
        return str(await connection.fetchval(query))
    finally:
        await connection.close()


async def test_it_is_version_18_with_vectors_and_no_tcp(server: Postgres) -> None:
    """PostgreSQL 18 runs with pgvector at hand, on a socket alone."""
    assert (await ask(server.address, "show server_version")).startswith("18.")
    assert await ask(server.address, "select count(*) from pg_available_extensions where name = 'vector'") == "1"
    assert await ask(server.address, "show listen_addresses") == ""


@pytest.mark.parametrize("password", ["", "guess"])
async def test_nobody_enters_without_the_password(server: Postgres, password: str) -> None:
    """The superuser's name alone opens nothing, not even for root on the socket."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(server.address, password)


async def test_every_rule_asks_for_scram(server: Postgres) -> None:
    """No line of the access rules trusts anybody."""
    assert await ask(server.address, "select string_agg(distinct auth_method, ',') from pg_hba_file_rules") == "scram-sha-256"


async def test_files_and_socket_are_private(server: Postgres, data: Path) -> None:
    """The password file, the cluster and the socket's folder open for their owner only."""
    modes = {path.stat().st_mode & 0o777 for path in (data / "postgres" / "18", Path(server.address.host))}
    assert modes == {0o700}
    assert (data / "postgres.password").stat().st_mode & 0o777 == 0o600


async def test_killed_server_comes_back_with_what_was_committed(server: Postgres, supervisor: Supervisor) -> None:
    """After SIGKILL the supervisor starts it again and committed rows are there."""
    await ask(server.address, "create table if not exists kept as select 42 as answer")
    pid = supervisor.pid("postgres")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while supervisor.pid("postgres") in {pid, None} or not await server.is_ready():
            await asyncio.sleep(0.02)
    assert await ask(server.address, "select answer from kept") == "42"


async def test_stale_pid_file_of_a_reused_number_is_no_obstacle(data: Path, supervisor: Supervisor) -> None:
    """A pid file naming a stranger's live process does not keep the server from starting, nor hurt the stranger."""
    postgres = Postgres(data, durable=False)
    await postgres.prepare()
    await supervisor.run(ChildSpec(name="stranger", argv=("sleep", "300")))
    (data / "postgres" / "18" / "postmaster.pid").write_text(f"{supervisor.pid('stranger')}\n")
    await postgres.prepare()
    await supervisor.run(postgres.spec(), postgres.is_ready)
    assert supervisor.pid("stranger") is not None


async def test_orphaned_server_is_ended_before_the_next_start(server: Postgres, supervisor: Supervisor, data: Path) -> None:
    """A server that lost its supervisor and its guard is ended by the next owner of the directory."""
    pid = supervisor.pid("postgres")
    await asyncio.to_thread(orphan.end, data / "postgres" / "18")
    async with asyncio.timeout(20):
        while supervisor.pid("postgres") in {pid, None} or not await server.is_ready():
            await asyncio.sleep(0.02)


async def test_tcp_is_open_when_a_port_is_given(data: Path, supervisor: Supervisor, unused_tcp_port: int) -> None:
    """With a port the server answers on loopback, still asking for the password."""
    postgres = Postgres(data, durable=False, tcp_port=unused_tcp_port)
    await postgres.prepare()
    await supervisor.run(postgres.spec(), postgres.is_ready)
    over_tcp = postgres.address.model_copy(update={"host": "127.0.0.1"})
    assert await over_tcp.answers()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(over_tcp, "guess")


async def test_long_data_path_gets_a_short_socket(data: Path) -> None:
    """A path too long for a socket's address moves only the socket."""
    deep = data / ("d" * 120)
    deep.mkdir(mode=0o711)
    postgres = Postgres(deep, durable=False)
    await postgres.prepare()
    assert len(f"{postgres.address.host}/.s.PGSQL.65535") <= 107
    postgres.clean()
    assert not Path(postgres.address.host).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
def test_root_behind_a_closed_door_keeps_the_cluster_outside(data: Path) -> None:
    """When the server's account cannot enter the data directory, the cluster gets a folder it can enter."""
    account, closed = Account(uid=60_600, gid=60_600), data / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)
    place = home(closed / "data", account)
    try:
        assert can_enter(place, account)
        assert not place.is_relative_to(closed)
    finally:
        place.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
def test_copied_programs_run_as_the_account(data: Path) -> None:
    """The copy for an account that cannot read the wheel holds all that the server needs."""
    account = Account(uid=60_600, gid=60_600)
    there = copied(wheel_tree(), data / "shared", account)
    said = subprocess.run(
        [there / "bin" / "postgres", "--version"],
        user=account.uid,
        group=account.gid,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PostgreSQL) 18." in said.stdout
    assert copied(wheel_tree(), data / "shared", account) == there
