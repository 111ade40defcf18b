"""Requests that are far too large are cut by a real API process before they weigh anything."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
import pytest_asyncio

from tests.processes import serving_api

MIB = 1024 * 1024
GROWS_BY = 50 * MIB
WITHIN_S = 30
PART = b"x" * 65_536
PLAIN, BATCH, DOOR = "/api/v1/workflows", "/api/v1/signals/ingest", "/api/v1/ingest/alertmanager/{endpoint}"


class Api(NamedTuple):
    port: int
    pid: int
    token: str
    endpoint: str
    secret: str

    def head(self, path: str, *headers: str) -> bytes:
        """A request's head, with a token or secret that is right, up to the empty line."""
        token = self.secret if path == DOOR else self.token
        usual = ("Host: api", f"Authorization: Bearer {token}", "Content-Type: application/json")
        return "\r\n".join((f"POST {path.format(endpoint=self.endpoint)} HTTP/1.1", *usual, *headers, "", "")).encode()

    async def answer(self, head: bytes, parts: Iterator[bytes]) -> int:
        """The status that comes while the parts are sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answering = asyncio.create_task(reader.readline())
        try:
            async with asyncio.timeout(WITHIN_S):
                with suppress(ConnectionError):
                    writer.write(head)
                    for part in parts:
                        if answering.done():
                            break
                        writer.write(part)
                        await writer.drain()
                return int((await answering).split()[1])
        finally:
            answering.cancel()
            writer.transport.abort()

    def grown_since(self, before: int) -> int:
        return self.memory("VmHWM") - before

    def memory(self, which: str) -> int:
        """Bytes: `VmRSS` now, `VmHWM` at the most since `forget_peak`."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


@pytest_asyncio.fixture(scope="module")
async def api(chosen, found_org, tmp_path_factory) -> AsyncIterator[Api]:
    tenant = await found_org()
    async with serving_api(chosen, tmp_path_factory.mktemp("api")) as (served, port):
        headers = {"Authorization": f"Bearer {tenant.token}"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
            made = (await client.post("/api/v1/connectors", json={"kind": "alertmanager", "name": "alerts"})).json()
            for _ in range(20):  # whatever the process makes once, it has made
                assert (await client.post("/api/v1/signals/ingest", json=[{"kind": "log"}])).status_code in {200, 403}
        yield Api(port, served.process.pid, tenant.token, made["connector"]["endpoint"], made["secret"])


def chunked(parts: Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield b"%x\r\n%b\r\n" % (len(part), part)


def packed_ten_gigabytes() -> bytes:
    """Ten megabytes of gzip: one packed megabyte of zeros, again and again."""
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    head = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (10 * 1024)


def attacks(api: Api, path: str) -> dict[str, tuple[bytes, Iterator[bytes], set[int]]]:
    bomb = packed_ten_gigabytes()
    packed = api.head(path, f"Content-Length: {len(bomb)}", "Content-Encoding: gzip")
    return {
        "200 MB, as it says": (api.head(path, "Content-Length: 209715200"), repeat(PART, 3_200), {413}),
        "200 MB in chunks": (api.head(path, "Transfer-Encoding: chunked"), chunked(repeat(PART, 3_200)), {413}),
        "chunks without end": (api.head(path, "Transfer-Encoding: chunked"), chunked(repeat(b"x" * 1_000)), {413}),
        "10 MB that unpack to 10 GB": (packed, iter([bomb]), {413, 415}),
        "ten thousand headers": (api.head(path, *(f"X-{n}: y" for n in range(10_000))), iter(()), {431}),
        "a header of a megabyte": (api.head(path, f"X-Long: {'y' * MIB}"), iter(()), {431}),
    }


@pytest.mark.parametrize("path", [PLAIN, BATCH, DOOR])
async def test_a40_what_is_far_too_large_is_cut_and_weighs_nothing(api: Api, path: str) -> None:
    """413 or 431 to each, and the process has never been fifty megabytes heavier than before; then it serves as usual."""
    api.forget_peak()
    before = api.memory("VmRSS")
    for name, (head, parts, expected) in attacks(api, path).items():
        assert await api.answer(head, parts) in expected, name
        assert api.grown_since(before) < GROWS_BY, name
    good = b"[]" if path == BATCH else b"{}"
    status = await api.answer(api.head(path, f"Content-Length: {len(good)}"), iter([good]))
    assert status in {202, 422}


@pytest.mark.parametrize("path", [PLAIN, BATCH, DOOR])
async def test_a40_a_body_that_never_ends_is_cut_in_time(api: Api, path: str) -> None:
    """408 when no more of it comes."""
    began = asyncio.get_running_loop().time()

    status = await api.answer(api.head(path, "Transfer-Encoding: chunked"), chunked(iter([b"{"])))

    assert status == 408
    assert asyncio.get_running_loop().time() - began < 12
