"""What stands between us and PostgreSQL when it fails: a server of a test's own, and a proxy that loses answers."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from provision import provision
from stack.postgres import Postgres, PostgresAddress
from stack.supervise import Supervisor
from tests.database import HMAC_KEY, PASSWORDS, DatabaseUrls, create_database, urls_of

_COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
_READY = b"Z"
_HEADER = 5
_CHUNK = 64 * 1024


class OwnServer:
    """A durable server that its supervisor starts again when it dies."""

    def __init__(self, server: Postgres, folder: Path, urls: DatabaseUrls, token: SecretStr) -> None:
        """`token` is that of the first org's admin."""
        self._server, self._folder = server, folder
        self.urls = urls
        self.token = token

    async def kill(self) -> None:
        """SIGKILL to the postmaster itself, by the pid that it has written down."""
        found = next(self._folder.rglob("postmaster.pid"))
        os.kill(int(found.read_text().splitlines()[0]), signal.SIGKILL)


class SmallDisk:
    """A disk of its own for a server, with nothing else on it; `fill` leaves no room and `free` gives it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as ballast, suppress(OSError):
            while ballast.write(bytes(_CHUNK)):
                pass

    def free(self) -> None:
        self._ballast.unlink()

    @property
    def room(self) -> int:
        return shutil.disk_usage(self.folder).free


@contextmanager
def small_disk(*, megabytes: int) -> Iterator[SmallDisk]:
    """Raises PermissionError: whoever runs this may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="suture-disk-"))
    try:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", str(folder)]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            raise PermissionError("expected to be allowed to mount a tmpfs")
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        folder.rmdir()


@asynccontextmanager
async def own_server(kms, *, on: Path | None = None) -> AsyncIterator[OwnServer]:
    folder = Path(tempfile.mkdtemp(prefix="suture-faults-", dir=on))
    folder.chmod(0o711)
    server, supervisor = Postgres(folder, durable=True), Supervisor(folder / "logs", report=lambda _: None)
    await supervisor.open()
    try:
        await server.prepare()
        await supervisor.run(server.spec(), ready=server.is_ready)
        urls = await create_database(server.address, "suture_faults")
        provisioned = await provision(urls.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY)
        assert provisioned.token is not None
        yield OwnServer(server, folder, urls, provisioned.token)
    finally:
        await supervisor.close()
        server.clean()
        shutil.rmtree(folder, ignore_errors=True)


class Proxy:
    """Passes messages on; what becomes of an answer, its subclasses say: it is none before the server says that it is ready."""

    def __init__(self, address: PostgresAddress, folder: Path) -> None:
        self._server = f"{address.host}/.s.PGSQL.{address.port}"
        self._address = address
        self._folder = folder
        self._pairs: set[asyncio.Task[None]] = set()

    def urls(self, database: str) -> DatabaseUrls:
        return urls_of(self._address.model_copy(update={"host": str(self._folder)}), database)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        listener = await asyncio.start_unix_server(self._join, self._folder / f".s.PGSQL.{self._address.port}")
        try:
            yield self
        finally:
            listener.close()
            for pair in self._pairs:
                pair.cancel()
            await asyncio.gather(*self._pairs, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        there, back = await asyncio.open_unix_connection(self._server)
        ways = [asyncio.create_task(_pass(reader, back)), asyncio.create_task(self._answer(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            writer.transport.abort()
            back.close()
            self._pairs.discard(task)

    async def _answer(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass on what the server says, up to the answer that is lost."""
        held, is_commit = b"", False
        with suppress(ConnectionError):
            while chunk := await source.read(_CHUNK):
                held += chunk
                while len(held) >= _HEADER and len(held) >= (size := 1 + int.from_bytes(held[1:_HEADER])):
                    message, held = held[:size], held[size:]
                    is_commit = is_commit or message == _COMMITTED
                    if message.startswith(_READY):
                        if await (self._is_commit_lost() if is_commit else self._is_other_lost()):
                            return
                        is_commit = False
                    sink.write(message)
                await sink.drain()

    async def _is_commit_lost(self) -> bool:
        """Whether the connection ends where the answer to a COMMIT should have come."""
        raise NotImplementedError

    async def _is_other_lost(self) -> bool:
        """The same of any other answer."""
        return False


class AckLostProxy(Proxy):
    """Any answer may be lost, after its statement was carried out: to a COMMIT, a query, a BEGIN, a new connection.

    One in five of those to a COMMIT is: there the change stands and the caller does not know. If one in five of all others
    were, too, a call of ten statements would come to its COMMIT once in ten times, so there the fifth is counted by the
    transaction: each answer is lost with the chance that cuts one transaction of `TYPICAL` answers in five.
    """

    TYPICAL = 12

    def __init__(self, address: PostgresAddress, folder: Path, *, losing: float, seed: int) -> None:
        super().__init__(address, folder)
        self._losing = losing
        self._dice = random.Random(seed)
        self.commits = self.lost_commits = self.others = self.lost_others = 0

    async def _is_commit_lost(self) -> bool:
        self.commits += 1
        lost = self._dice.random() < self._losing
        self.lost_commits += lost
        return lost

    async def _is_other_lost(self) -> bool:
        self.others += 1
        lost = self._dice.random() < 1 - (1 - self._losing) ** (1 / self.TYPICAL)
        self.lost_others += lost
        return lost


class HoldingProxy(Proxy):
    """Once told to, it keeps every answer to a COMMIT to itself until it is told otherwise."""

    def __init__(self, address: PostgresAddress, folder: Path) -> None:
        super().__init__(address, folder)
        self.passes = asyncio.Event()
        self.passes.set()

    async def _is_commit_lost(self) -> bool:
        await self.passes.wait()
        return False


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()
