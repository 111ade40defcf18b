"""The HTTP/1.1 connection before there is a request: a head that dribbles is cut, a broken or too large one is answered."""

import asyncio
from datetime import timedelta
from typing import ClassVar, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.errors import HeadersTooLargeError, MalformedError
from api.problems import answer

LARGEST_HEAD = 64 * 1024


class GuardedProtocol(H11Protocol):
    """uvicorn's h11 protocol with a deadline for every head and Problem+JSON for heads that never become a request.

    Serve with `http=GuardedProtocol, h11_max_incomplete_event_size=LARGEST_HEAD`. uvicorn alone has a timer between
    requests only, so that a client which never finishes its head would stay forever.
    """

    head_within: ClassVar[timedelta] = timedelta(seconds=10)
    linger: ClassVar[timedelta] = timedelta(seconds=2)
    _head_timer: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._head_timer = self.loop.call_later(self.head_within.total_seconds(), transport.close)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._refused = True
        self._stop_timer()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(self._refusal())
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        # Half closed for a moment: a full close while the client still sends would reset away its answer.
        self.transport.write_eof()
        self.loop.call_later(self.linger.total_seconds(), self.transport.close)

    def _refusal(self) -> bytes:
        if self.conn.their_state is h11.ERROR and len(self.conn.trailing_data[0]) > LARGEST_HEAD:
            response = answer(HeadersTooLargeError(f"expected a head of at most {LARGEST_HEAD} bytes"))
        else:
            response = answer(MalformedError("not an HTTP/1.1 request"))
        response.headers["Connection"] = "close"
        head = b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
        return b"HTTP/1.1 %d Refused\r\n%s\r\n%s" % (response.status_code, head, bytes(response.body))

    def _watch_head(self) -> None:
        dribbling = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        if not dribbling:
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_within.total_seconds(), self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
