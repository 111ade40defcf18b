"""The database that the story's stage writes to: a real one of its own, with a role that writes and one that reads."""

import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg

from domain.base import Value


class Server(Value):
    """The embedded PostgreSQL as its superuser reaches it; stages reach it by TCP on `port`."""

    host: str
    port: int
    user: str
    password: str
    database: str = "postgres"


class Target:
    """Made on entering, kept afterwards: the next telling uses a new one."""

    def __init__(self, server: Server, tables: Path, *, season: str) -> None:
        self._server = server
        self._tables = tables
        self._name = f"target_{season}"
        self._writer = (f"{self._name}_writer", secrets.token_hex(16))
        self._reader = (f"{self._name}_reader", secrets.token_hex(16))
        self._admin: asyncpg.Connection[Any] | None = None

    async def __aenter__(self) -> Self:
        maker = await self._connect(self._server.database)
        for name, password in (self._writer, self._reader):
            await maker.execute(f"create role {name} login password '{password}'")
        await maker.execute(f"create database {self._name}")
        await maker.close()
        self._admin = await self._connect(self._name)
        await self._admin.execute(self._tables.read_text())
        await self._admin.execute(f"grant select, insert, delete on all tables in schema public to {self._writer[0]}")
        await self._admin.execute(f"grant select on all tables in schema public to {self._reader[0]}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._admin is not None:
            await self._admin.close()

    @property
    def dsn(self) -> str:
        return self._dsn(*self._writer)

    @property
    def dsn_readonly(self) -> str:
        return self._dsn(*self._reader)

    async def effects(self) -> dict[str, int]:
        """How often each step key took effect, by the target's own table."""
        if self._admin is None:
            raise RuntimeError("the target database is entered first")
        rows = await self._admin.fetch("select step_key, count(*) as times from effects group by step_key")
        return {row["step_key"]: row["times"] for row in rows}

    def _dsn(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{self._server.port}/{self._name}"

    async def _connect(self, database: str) -> "asyncpg.Connection[Any]":
        server = self._server
        return await asyncpg.connect(
            host=server.host, port=server.port, user=server.user, password=server.password, database=database, timeout=10
        )
