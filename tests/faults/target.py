"""The fake target of stages: a server with its own append-only ledger, and one knob at every point of an effect."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

LINE = 64 * 1024

STAGE = """
    import json, os, pathlib, socket, sys
    config = json.loads(pathlib.Path(os.environ["SUTURE_CONFIG"]).read_text())
    asked = {
        "op": "probe" if "--probe" in sys.argv else "apply",
        "key": os.environ["SUTURE_STEP_KEY"],
        "version": os.environ["SUTURE_STEP_VERSION"],
        "label": config["label"],
        "keyed": config["keyed"],
    }
    with socket.create_connection((config["host"], config["port"]), timeout=60) as line:
        line.sendall(json.dumps(asked).encode() + b"\\n")
        said = json.loads(line.makefile().readline() or '{"exit": 1}')
    pathlib.Path(os.environ["SUTURE_OUTPUTS"], "rows").write_text("1")
    sys.exit(said["exit"])
"""


class Point(StrEnum):
    """Where an effect can be slowed down, held or cut off."""

    BEFORE = "before"
    INSIDE = "inside"
    AFTER = "after"


@dataclass(frozen=True)
class Asked:
    """What a stage sent."""

    op: str
    key: str
    version: str
    label: str
    keyed: bool


@dataclass(frozen=True)
class Effect:
    """One line of the ledger; never changed, never removed."""

    key: str
    version: str
    label: str
    at: float


Knob = Callable[[Asked, Point], Awaitable[None]]


async def at_once(asked: Asked, point: Point) -> None:
    """Neither slow nor failing."""


class StageTarget:
    """An effect is a transaction: it is in the ledger once it is committed, and not at all when its client goes before.

    A keyed request that is known does nothing; any other adds one more line, so a second start of a stage is seen.
    The knob may wait, or raise ConnectionError to cut the client off.
    """

    def __init__(self) -> None:
        self.ledger: list[Effect] = []
        self.knob: Knob = at_once
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=LINE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def effects(self, label: str) -> list[Effect]:
        return [each for each in self.ledger if each.label == label]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            asked = Asked(**json.loads(await reader.readline()))
            said = await (self._probe(asked) if asked.op == "probe" else self._apply(asked, reader))
            writer.write(json.dumps({"exit": said}).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, ValueError):
            return
        finally:
            self._clients.discard(task)
            writer.close()

    async def _probe(self, asked: Asked) -> int:
        """Waits for a commit in flight, as a probe must."""
        async with self._locks[asked.key]:
            return 0 if any(each.key == asked.key for each in self.ledger) else 3

    async def _apply(self, asked: Asked, reader: asyncio.StreamReader) -> int:
        await self._pass(asked, Point.BEFORE, reader)
        async with self._locks[asked.key]:
            await self._pass(asked, Point.INSIDE, reader)
            known = asked.keyed and any((each.key, each.version) == (asked.key, asked.version) for each in self.ledger)
            if not known:
                self.ledger.append(Effect(asked.key, asked.version, asked.label, time.time()))
        await self._pass(asked, Point.AFTER, reader)
        return 0

    async def _pass(self, asked: Asked, point: Point, reader: asyncio.StreamReader) -> None:
        """Raises ConnectionError: the client has gone, or the knob cuts it off."""
        knob, gone = asyncio.ensure_future(self.knob(asked, point)), asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({knob, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not knob.done():
                raise ConnectionError("the client has gone")
            knob.result()
        finally:
            for each in (knob, gone):
                each.cancel()
            await asyncio.gather(knob, gone, return_exceptions=True)


class Gate:
    """A knob that holds the first effect of each label at one point until it is opened."""

    def __init__(self, points: dict[str, Point]) -> None:
        self._points = points
        self._open: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def __call__(self, asked: Asked, point: Point) -> None:
        if self._points.get(asked.label) is point:
            self._reached[asked.label].set()
            await self._open[asked.label].wait()

    async def reached(self, label: str, *, within: float = 30) -> None:
        async with asyncio.timeout(within):
            await self._reached[label].wait()

    def open(self, label: str) -> None:
        self._open[label].set()
