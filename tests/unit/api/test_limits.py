"""What arrives too large, too slow or too often is refused before any handler runs, and others are served."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import httpx2
import pytest
from starlette.types import Message

from api.limits import MIB, Bounded, Limits
from tests.unit.api.edge import QUICK, Edge, serving

POST = b"POST /v1/orders HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\n"
GOOD = POST + b'Content-Length: 13\r\nConnection: close\r\n\r\n{"name": "x"}'


async def exchange(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """What the server answers until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(read_all(reader))
    try:
        for part in parts:
            writer.write(part)
            with suppress(ConnectionError):
                await writer.drain()
            await asyncio.wait({answer}, timeout=pause)
            if answer.done():
                break
        return await asyncio.wait_for(answer, timeout=5)
    finally:
        answer.cancel()
        writer.close()


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """Everything that came, also when the end was a reset."""
    answer = b""
    with suppress(ConnectionError):
        while part := await reader.read(65536):
            answer += part
    return answer


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Edge, int]]:
    edge = Edge(QUICK)
    async with serving(edge) as port:
        yield edge, port


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "path",
    [
        "//v1/orders",
        "/v1//orders",
        "/v1/orders/",
        "/v1/orders;x",
        "/v1/orders;x=/healthz",
        "/v1/%2e%2e/v1/orders",
        "/v1/%2E%2E/orders",
        "/v1/%252e%252e/orders",
        "/v1/x/../orders",
        "/v1/./orders",
        "/v1/orders%2f",
        "/v1%5corders",
        "/v1/orders%00",
        "/v1/orders%0d%0aX:1",
        "/v1/orders%ff",
        "/v1/orders/healthz/configs/healthz",
        "/V1/orders",
        "http://edge/v1/orders",
        "*",
    ],
)
async def test_a_path_that_could_be_read_differently_names_nothing(served: tuple[Edge, int], path: str) -> None:
    """Every trick with a path is 404, seen as raw as it was sent."""
    edge, port = served
    answer = await exchange(port, GOOD.replace(b"/v1/orders", path.encode(), 1))

    assert (status(answer), edge.seen) == (404, [])


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
async def test_a_method_override_is_ignored(edge: Edge, client: httpx2.AsyncClient, header: str) -> None:
    """The method is the one in the request line."""
    response = await client.get("/v1/orders", headers={header: "POST"})

    assert (response.status_code, edge.seen) == (200, [""])


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "BREW"])
async def test_an_unrouted_method_is_refused(client: httpx2.AsyncClient, method: str) -> None:
    """No method is answered by accident."""
    assert (await client.request(method, "/v1/orders")).status_code == 405


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(f"x-{number}", "v") for number in range(200)], 431),
        ([("x-long", "v" * 9000)], 431),
        ([(f"x-{number}", "v" * 4000) for number in range(9)], 431),
        ([("content-encoding", "gzip")], 415),
        ([("content-encoding", "gzip, br")], 415),
        ([("content-encoding", "identity")], 200),
    ],
)
async def test_a_head_is_bounded(client: httpx2.AsyncClient, headers: list[tuple[str, str]], expected: int) -> None:
    """Number, size and sum of headers, and what the body is packed in."""
    assert (await client.get("/v1/orders", headers=headers)).status_code == expected


async def test_a_target_is_bounded(client: httpx2.AsyncClient) -> None:
    """A path or query of five thousand bytes is 414."""
    assert (await client.get("/v1/orders?q=" + "a" * 5000)).status_code == 414


async def test_a_megabyte_header_is_told_so(port: int) -> None:
    """The server's own parser gives up before the application, and still answers 431."""
    answer = await exchange(port, b"GET /v1/orders HTTP/1.1\r\nHost: edge\r\nX: " + b"v" * MIB)

    assert (status(answer), b"application/problem+json" in answer) == (431, True)


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01 not http\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: edge\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: edge\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /v1/orders HTTP/1.1\r\nHost: edge\r\nX: a\x00b\r\n\r\n",
        b"GET /v1/orders HTTP/1.1\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_not_http_is_400(port: int, head: bytes) -> None:
    """A broken head or chunk is answered and the connection closed."""
    assert status(await exchange(port, head)) == 400


async def test_a_declared_size_is_refused_unread(port: int) -> None:
    """Content-Length alone decides; the client reads its answer although it still sends."""
    began = time.perf_counter()
    answer = await exchange(port, POST + b"Content-Length: 209715200\r\n\r\n", *[b"x" * MIB] * 8)

    assert status(answer) == 413
    assert time.perf_counter() - began < 4


async def test_an_endless_chunked_body_is_cut(port: int) -> None:
    """Chunks without end are refused as soon as they pass the cap."""
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"

    assert status(await exchange(port, POST + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 40)) == 413


@pytest.mark.parametrize(("pause", "parts"), [(0.2, 20), (1.0, 2)])
async def test_a_slow_body_is_cut(port: int, pause: float, parts: int) -> None:
    """Steady dribble ends at the total, silence at the idle limit."""
    began = time.perf_counter()
    answer = await exchange(port, POST + b"Content-Length: 1000\r\n\r\n", *[b"x"] * parts, pause=pause)

    assert (status(answer), b"connection: close" in answer.lower()) == (408, True)
    assert time.perf_counter() - began < 3


async def test_slow_clients_hold_no_place() -> None:
    """Two hundred dribbling bodies do not keep four places from a good client."""
    edge = Edge(QUICK)
    async with serving(edge) as port:
        slow = [asyncio.ensure_future(exchange(port, POST + b"Content-Length: 9\r\n\r\n")) for _ in range(200)]
        await asyncio.sleep(0)
        good = [status(await exchange(port, GOOD)) for _ in range(10)]
        cut = [status(answer) for answer in await asyncio.gather(*slow)]

    assert (good, set(cut), len(edge.seen)) == ([201] * 10, {408}, 10)


async def test_a_head_that_never_ends_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a whole head is closed, first request or later."""
    monkeypatch.setattr("api.wire.GuardedProtocol.head_within", timedelta(seconds=0.3))
    async with serving(Edge(QUICK)) as port:
        first = await exchange(port, b"GET /v1/orders HTTP/1.1\r\nX: ", *[b"v"] * 20, pause=0.1)
        silent = await exchange(port)
        later = await exchange(port, GOOD.replace(b"Connection: close\r\n", b""), *[b"G"] * 20, pause=0.1)

    assert (first, silent, status(later)) == (b"", b"", 201)


async def test_a_client_that_leaves_is_forgotten(port: int) -> None:
    """Half a body and gone: the server goes on."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST + b"Content-Length: 1000\r\n\r\n{")
    await writer.drain()
    writer.close()

    assert status(await exchange(port, GOOD)) == 201


async def test_no_answer_in_time_is_503(hasty: tuple[Edge, httpx2.AsyncClient]) -> None:
    """A handler that hangs is cancelled at the deadline."""
    response = await hasty[1].post("/v1/orders", json={"name": "wait"})

    assert (response.status_code, response.json()["type"]) == (503, "/problems/slow_answer")
    assert response.headers["retry-after"] == "1"


async def test_a_stream_outlives_the_deadline(hasty: tuple[Edge, httpx2.AsyncClient]) -> None:
    """Server-sent events go on after the time an answer may take."""
    assert (await hasty[1].get("/v1/stream")).text == "data: 1\n\ndata: 2\n\n"


async def test_too_many_at_once_is_503(edge: Edge, client: httpx2.AsyncClient) -> None:
    """The fifth of four is told to come back, and the four are served."""
    waiting = [asyncio.ensure_future(client.post("/v1/orders", json={"name": "wait"})) for _ in range(4)]
    while len(edge.seen) < 4:
        await asyncio.sleep(0)
    refused = await client.get("/v1/orders")
    edge.gate.set()
    served = [response.status_code for response in await asyncio.gather(*waiting)]

    assert (refused.status_code, refused.json()["type"], served) == (503, "/problems/busy", [201] * 4)
    assert (await client.get("/v1/orders")).status_code == 200


async def test_a_prefix_may_take_more() -> None:
    """`larger` raises the cap below its prefix, and nowhere else."""
    edge = Edge(Limits(body=10, larger=(("/v1/orders/", 100),)))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=edge.app), base_url="http://edge") as client:
        below = await client.patch(f"/v1/orders/plan_{'0' * 26}", json={"name": "x"})
        above = await client.post("/v1/orders", json={"name": "x"})

    assert (below.status_code, above.status_code) == (200, 413)


async def test_buffered_bytes_are_bounded_and_given_back() -> None:
    """Bodies being read share one budget, returned whatever becomes of the request."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 60, "more_body": False}

    async def app(*_: object) -> None:
        await bounded(scope, receive, send)

    scope = {"type": "http", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    bounded = Bounded(app, Limits(buffered=100))
    await bounded(scope, receive, send)
    sent_inside = [message["status"] for message in sent if message["type"] == "http.response.start"]
    await bounded(scope, receive, send)

    assert sent_inside == [503]
    assert len(sent) == 6
