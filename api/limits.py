"""Nothing that arrives or runs is unbounded: heads, bodies, waiting, answering, and how much of it at once."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BusyError, SlowAnswerError, SlowBodyError, TooLargeError
from api.gzip import GZIP, is_packed, plain_scope, unpacked
from api.heads import HeadLimits, check_head
from api.problems import answer
from domain.base import Value
from domain.errors import HealError

MIB = 1024 * 1024
_BRIEF = timedelta(milliseconds=200)


class Limits(Value):
    """The numbers. `larger` gives path prefixes their own body cap; `always` names paths served even when full.

    Below the prefixes of `packed` a body may be gzip: its cap counts before and after it is unpacked.
    """

    head: HeadLimits = HeadLimits()
    body: int = MIB
    larger: tuple[tuple[str, int], ...] = ()
    packed: tuple[str, ...] = ()
    body_within: timedelta = timedelta(seconds=10)
    body_idle: timedelta = timedelta(seconds=5)
    linger: timedelta = timedelta(seconds=2)
    answer_within: timedelta = timedelta(seconds=30)
    concurrent: int = 200
    buffered: int = 64 * MIB
    always: frozenset[str] = frozenset({"/healthz", "/readyz"})

    def encodings(self, path: str) -> frozenset[bytes]:
        return frozenset({GZIP}) if path.startswith(self.packed) else frozenset()

    def cap(self, path: str) -> int:
        return next((cap for prefix, cap in self.larger if path.startswith(prefix)), self.body)


class Bounded:
    """ASGI middleware: reads the whole body under `limits` before the application hears of the request.

    A slow body therefore holds its few bytes and no place among the `concurrent` ones. A refusal closes the connection.
    An event stream, once begun, has neither deadline nor place: its route bounds it.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._serving = 0
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            await self._read(body, scope, receive)
            plain, scope = await self._unpacked(body, scope)
        except ClientDisconnect:
            return
        except SlowBodyError as error:
            await _refuse(error, receive, send, linger=_BRIEF)  # it had its time
        except HealError as error:
            await _refuse(error, receive, send, linger=self._limits.linger)
        else:
            await self._serve(scope, _replay(plain, receive), send)
        finally:
            self._held -= len(body)

    async def _read(self, body: bytearray, scope: Scope, receive: Receive) -> None:
        check_head(scope, self._limits.head, encodings=self._limits.encodings(scope["path"]))
        cap = self._limits.cap(scope["path"])
        if _declared(scope) > cap:
            raise TooLargeError(f"expected a body of at most {cap} bytes")
        try:
            async with asyncio.timeout(self._limits.body_within.total_seconds()):
                while await self._read_part(body, cap, receive):
                    pass
        except TimeoutError:
            raise SlowBodyError("the body did not arrive in time") from None

    async def _unpacked(self, body: bytearray, scope: Scope) -> tuple[bytes, Scope]:
        """The body and the scope as if it had been sent plain."""
        if not is_packed(scope):
            return bytes(body), scope
        return await asyncio.to_thread(unpacked, body, self._limits.cap(scope["path"])), plain_scope(scope)

    async def _read_part(self, body: bytearray, cap: int, receive: Receive) -> bool:
        async with asyncio.timeout(self._limits.body_idle.total_seconds()):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        if len(body) + len(part) > cap:
            raise TooLargeError(f"expected a body of at most {cap} bytes")
        if self._held + len(part) > self._limits.buffered:
            raise BusyError("too many bodies are being read: try again in a moment")
        self._held += len(part)
        body += part  # one growing buffer: a list of one-byte parts would weigh fifty times its bytes
        return bool(message.get("more_body", False))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._serving >= self._limits.concurrent and scope["path"] not in self._limits.always:
            await _refuse(BusyError("too many requests are being served"), receive, send, linger=timedelta())
            return
        clock = asyncio.timeout(self._limits.answer_within.total_seconds())
        served = _Served(send, clock, self._leave)
        self._serving += 1
        try:
            async with clock:
                await self._app(scope, receive, served.send)
        except TimeoutError:
            if not clock.expired():
                raise
            if not served.started:
                await _refuse(SlowAnswerError("no answer in time"), receive, send, linger=timedelta())
        finally:
            if not served.streams:
                self._leave()

    def _leave(self) -> None:
        self._serving -= 1


class _Served:
    """Watches one answer: whether it began, and whether it is an event stream, which outlives the deadline."""

    def __init__(self, send: Send, clock: asyncio.Timeout, leave: Callable[[], None]) -> None:
        self._send = send
        self._clock = clock
        self._leave = leave
        self.started = False
        self.streams = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream"):
                self.streams = True
                self._clock.reschedule(None)
                self._leave()
        await self._send(message)


async def _refuse(error: HealError, receive: Receive, send: Send, *, linger: timedelta) -> None:
    """Answer, then swallow for `linger` what the client still sends: closing at once could reset its connection before
    it has read the answer."""
    response = answer(error)
    response.headers["Connection"] = "close"
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(linger.total_seconds()):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _declared(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()  # only a disconnect can follow
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
