"""Over a real socket: the server as `serve` configures it, live events, and clients that leave."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
import uvicorn

from api.streams import Streams
from api.wire import LARGEST_HEAD, GuardedProtocol
from tests.api.site import Person, Site


@pytest.fixture
async def port(site: Site) -> AsyncIterator[int]:
    """The application on a loopback port, with room for one stream that would last a minute."""
    config = uvicorn.Config(
        site.app,
        port=0,
        http=GuardedProtocol,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    server, sockets = uvicorn.Server(config), [config.bind_socket()]
    usual, site.app.state.streams = site.app.state.streams, Streams(most=1, lasts=timedelta(minutes=1))
    task = asyncio.create_task(server.serve(sockets=sockets))
    try:
        yield sockets[0].getsockname()[1]
    finally:
        site.app.state.streams = usual
        server.should_exit = True
        await asyncio.wait_for(task, timeout=10)
        sockets[0].close()


async def test_a_client_that_leaves_gives_its_stream_back(port: int, someone: Person) -> None:
    """One stream at a time: the second waits for its place until the first is gone."""
    path = (await someone.post("/incidents/open", {"title": "slow", "service": "shop"})).headers["location"]
    headers = {"Authorization": f"Bearer {someone.token}"}
    async with asyncio.timeout(20), httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
        async with client.stream("GET", f"{path}/stream") as first:
            lines = first.aiter_lines()
            while not (await anext(lines)).startswith("id: "):
                pass
            refused = await client.get(f"{path}/stream")
        status = 503
        while status == 503:
            async with client.stream("GET", f"{path}/stream") as second:
                status = second.status_code

    assert (refused.status_code, status) == (503, 200)


async def test_a_huge_body_is_cut_before_it_is_read(port: int, someone: Person) -> None:
    """413 by its declared length, whoever sends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "POST /v1/workflows HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 209715200\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(10):
        answer = await reader.readline()
    writer.close()

    assert b" 413 " in answer
