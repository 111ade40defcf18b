"""Whom an address that people have named may reach: the Internet, and the private networks that somebody has allowed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network

import pytest

from adapters import reaching
from adapters.reaching import Reach, is_public
from domain.errors import UnavailableError

LOOPBACK = (ip_network("127.0.0.0/8"),)
FORMS = {
    "loopback": "http://127.0.0.1:{}/",
    "decimal": "http://2130706433:{}/",
    "octal": "http://0177.0.0.1:{}/",
    "hexadecimal": "http://0x7f.1:{}/",
    "short": "http://127.1:{}/",
    "IPv6": "http://[::1]:{}/",
    "mapped into IPv6": "http://[::ffff:127.0.0.1]:{}/",
    "compatible with IPv4": "http://[::127.0.0.1]:{}/",
    "NAT64": "http://[64:ff9b::7f00:1]:{}/",
    "6to4": "http://[2002:7f00:1::]:{}/",
    "site-local": "http://[fec0::1]:{}/",
    "carrier-grade NAT": "http://100.64.0.1:{}/",
    "circled digits": "http://①②⑦.⓪.⓪.①:{}/",
    "a user before the host": "http://am.example.com@127.0.0.1:{}/",
    "a name": "http://localhost:{}/",
    "any address": "http://0.0.0.0:{}/",
    "metadata": "http://169.254.169.254:{}/",
}


class Listener:
    """Counts who connects, and answers each with the same."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.connections, self.port = answer, 0, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[Listener]:
    listener = Listener(answer)
    async with await asyncio.start_server(listener.serve, "127.0.0.1", 0) as server:
        listener.port = server.sockets[0].getsockname()[1]
        yield listener


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("form", FORMS)
async def test_a39_a_hostile_address_is_neither_saved_nor_reached(form: str) -> None:
    """However loopback is written, whoever asks for it is refused before and nobody is connected to after."""
    async with listening(ok(b"secret")) as listener:
        url, reach = FORMS[form].format(listener.port), Reach()

        assert await reach.flaw(url) is not None
        with pytest.raises(UnavailableError):
            await reach.get(url)
        assert listener.connections == 0


async def test_a39_a_redirect_is_not_followed() -> None:
    """An address that may be reached cannot send us on to one that may not."""
    async with listening(ok(b"secret")) as target:
        moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % target.port
        async with listening(moved) as first:
            with pytest.raises(UnavailableError, match="302"):
                await Reach(LOOPBACK).get(f"http://127.0.0.1:{first.port}/")
        assert (first.connections, target.connections) == (1, 0)


async def test_a39_a_name_that_changes_its_mind_is_checked_again() -> None:
    """It was public when it was saved and is loopback when it is asked: the connection is refused."""
    answers: Iterator[Collection[str]] = iter([{"93.184.215.14"}, {"127.0.0.1"}])

    async def rebinding(host: str, port: int) -> Collection[str]:
        return next(answers)

    async with listening(ok(b"secret")) as listener:
        url, reach = f"http://am.example.com:{listener.port}/", Reach(resolve=rebinding)
        assert await reach.flaw(url) is None
        with pytest.raises(UnavailableError):
            await reach.get(url)
        assert listener.connections == 0


async def test_a39_one_private_address_among_many_is_enough() -> None:
    """Of a name all addresses have to be public."""

    async def mixed(host: str, port: int) -> Collection[str]:
        return {"93.184.215.14", "10.0.0.7"}

    assert await Reach(resolve=mixed).flaw("https://am.example.com") is not None


@pytest.mark.parametrize(
    "url", ["", "am.example.com", "ftp://am.example.com", "http://", "http://:80", "http://a b", "http://a:99999", "http://[::1",
            "http://am.example.com\\@127.0.0.1", "http://am.example.com/?x", "http://am.example.com/#x", "file:///etc/passwd"]
)  # fmt: skip
async def test_what_is_no_address_is_refused(url: str) -> None:
    """With what is expected instead."""
    assert "expected" in (await Reach().flaw(url) or "")


async def test_an_allowed_network_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without whatever proxy the environment names."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with listening(ok(b"[]")) as listener:
        url = f"http://127.0.0.1:{listener.port}"
        assert await Reach(LOOPBACK).flaw(url) is None
        assert await Reach(LOOPBACK).get(url) == b"[]"


async def test_an_answer_is_bounded() -> None:
    """In size and in time; nobody is held by one that never comes."""
    async with listening(ok(b"x" * (reaching.LARGEST + 1))) as large, listening(b"HTTP/1.1 200 OK\r\n") as cut:
        for listener in (large, cut):
            with pytest.raises(UnavailableError):
                await Reach(LOOPBACK).get(f"http://127.0.0.1:{listener.port}/")


@pytest.mark.parametrize("written", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_the_internet_is_public(written: str) -> None:
    """In both versions."""
    assert is_public(ip_address(written))
