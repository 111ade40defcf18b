"""PostgreSQL 18 with pgvector as a foreground child: private socket, passwords for everybody, little memory."""

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
from datetime import timedelta
from pathlib import Path

import asyncpg
from pydantic import SecretStr

from domain.base import Value
from domain.errors import UnavailableError
from stack import account, orphan, pgfiles
from stack.child import ChildSpec
from stack.command import hear
from stack.ports import LOOPBACK

USER = "postgres"
_SOCKET_PORT = 5432
_LONGEST_SOCKET_DIR = 107 - len(f"/.s.PGSQL.{65535}") - 1
_INITDB_WITHIN = timedelta(minutes=2)
_PROBE_WITHIN = timedelta(seconds=2)
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_SETTINGS = {
    "shared_buffers": "64MB",
    "max_connections": "120",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "512MB",
    "max_worker_processes": "4",
    "max_parallel_workers": "2",
    "autovacuum_max_workers": "2",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "io_method": "sync",  # the default keeps three more processes
    "jit": "off",
    "huge_pages": "off",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    # Neither statements nor row values reach the log: both may hold secrets.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_min_messages": "warning",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
# Not synchronous_commit or full_page_writes: without them a killed process, not only a dead machine, loses commits.
_FAST_AND_LOOSE = {"fsync": "off"}


class PostgresAddress(Value):
    """Where a PostgreSQL superuser logs in; `host` is a host name or the folder of a socket."""

    host: str
    port: int
    user: str
    password: SecretStr
    database: str = "postgres"

    async def answers(self) -> bool:
        """Whether a query gets an answer within two seconds."""
        try:
            async with asyncio.timeout(_PROBE_WITHIN.total_seconds()):
                connection = await asyncpg.connect(
                    host=self.host,
                    port=self.port,
                    user=self.user,
                    password=self.password.get_secret_value(),
                    database=self.database,
                )
                await connection.close()
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False
        return True


class Postgres:
    """One cluster below `data`. `durable=False` is for tests: a crash of the machine may lose it.

    `tcp_port` opens a loopback port beside the socket, for programs that cannot enter the socket's folder.
    """

    def __init__(
        self, data: Path, *, durable: bool = True, tcp_port: int | None = None, uid: int = account.ORDINARY_UID
    ) -> None:
        self._data = data
        self._durable = durable
        self._tcp_port = tcp_port
        self._account = account.ordinary(uid)
        self._tree = Path()
        self._home = Path()
        self._sockets = Path()

    async def prepare(self) -> None:
        """Create the cluster unless it exists, and clear what a killed server left behind."""
        self._tree = await asyncio.to_thread(pgfiles.tree, self._account)
        self._home = account.home(self._data, self._account)
        if not self._cluster.exists():
            await self._create()
        orphan.end(self._cluster)
        self._sockets = self._fresh_socket_dir()

    @property
    def address(self) -> PostgresAddress:
        password = SecretStr((self._data / "postgres.password").read_text().strip())
        return PostgresAddress(host=str(self._sockets), port=self._port, user=USER, password=password)

    def spec(self) -> ChildSpec:
        settings = _SETTINGS | {
            "listen_addresses": "" if self._tcp_port is None else LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": str(self._sockets),
        }
        settings |= {} if self._durable else _FAST_AND_LOOSE
        options = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
        return ChildSpec(
            name="postgres",
            argv=(str(self._tree / "bin" / "postgres"), "-D", str(self._cluster), *options),
            env=_ENVIRONMENT,
            cwd=Path("/"),
            uid=None if self._account is None else self._account.uid,
            stop=signal.SIGINT,
        )

    async def is_ready(self) -> bool:
        return await self.address.answers()

    def clean(self) -> None:
        """Remove the socket folder, once the server has stopped."""
        if self._sockets.name:
            shutil.rmtree(self._sockets, ignore_errors=True)

    @property
    def _cluster(self) -> Path:
        return self._home / "18"

    @property
    def _port(self) -> int:
        return self._tcp_port or _SOCKET_PORT

    async def _create(self) -> None:
        """The cluster appears whole or not at all; the password is known before it exists."""
        password = _keep_password(self._data / "postgres.password")
        with tempfile.TemporaryDirectory(dir=self._home, prefix="creating-") as folder:
            work = Path(folder)
            # initdb insists on an entry in the password file, which the server's own account does not have.
            creator = account.named()
            account.give(work, creator, 0o700)
            told = work / "password"
            told.touch(mode=0o600)
            told.write_text(password)
            account.give(told, creator, 0o600)
            await self._initdb(work / "cluster", told, creator)
            account.give_all(work / "cluster", self._account)
            (work / "cluster").rename(self._cluster)

    async def _initdb(self, cluster: Path, password_file: Path, creator: account.Account | None) -> None:
        options = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        options += ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={password_file}", "--no-instructions"]
        options += [] if self._durable else ["--no-sync"]
        program = str(self._tree / "bin" / "initdb")
        words = ("-D", str(cluster), *options)
        said = await hear(program, *words, within=_INITDB_WITHIN, env=_ENVIRONMENT, cwd=Path("/"), account=creator)
        if said.code:
            raise UnavailableError(f"initdb ended with {said.code}: {said.text[-800:]}")

    def _fresh_socket_dir(self) -> Path:
        """An empty folder that only the server and we can enter, with a path short enough for a socket's address."""
        folder = self._home / "run"
        if len(os.fsencode(folder)) > _LONGEST_SOCKET_DIR:
            folder = Path(tempfile.mkdtemp(prefix="suture-"))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        account.give(folder, self._account, 0o700)
        return folder


def _keep_password(path: Path) -> str:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text()
