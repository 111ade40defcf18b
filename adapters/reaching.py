"""HTTP to addresses that people have named: nobody is reached whom only this host should reach.

A name is resolved once for each connection, every address that it has is checked, and one of those is connected to. There are
no redirects and no proxies, and nothing of the environment is sent.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import httpcore2

from domain.errors import UnavailableError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Collection[str]]]

WITHIN = timedelta(seconds=2)
LARGEST = 8 * 1024 * 1024
_PORTS = {"http": 80, "https": 443}
# What Python calls global though it leads inside: IPv4 within IPv6 in every form, shared and old private addresses.
_DENIED: tuple[Network, ...] = tuple(
    map(
        ip_network,
        (
            "100.64.0.0/10",
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "::/96",
            "::ffff:0:0/96",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "2001::/32",
            "2002::/16",
            "fec0::/10",
        ),
    )
)


async def resolved(host: str, port: int) -> Collection[str]:
    """Every address of the name; the forms of an address that only a resolver knows, like 0x7f.1, are among names."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return {str(where[0]) for *_, where in found}


class Reach:
    """Implements `services.ports.Reach`. `allowed` are networks that may be reached though they are private."""

    def __init__(self, allowed: Collection[Network] = (), resolve: Resolve = resolved) -> None:
        self._guard = _Guard(allowed, resolve)

    async def flaw(self, url: str) -> str | None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            return "expected http://host:port or https://host"
        if not port or not host or not url.isascii() or not url.isprintable() or set(url) & set(" \\?#"):
            return "expected http://host:port or https://host, in ASCII, with nothing behind its path"
        if "@" in parts.netloc:
            return "expected an address without a user in it"
        try:
            await self._guard.address(host, port)
        except httpcore2.ConnectError as error:
            return str(error)
        return None

    async def address(self, host: str, port: int) -> str:
        try:
            return await self._guard.address(host, port)
        except httpcore2.ConnectError as error:
            raise UnavailableError(str(error)) from error

    async def get(self, url: str) -> bytes:
        if not url.isascii():
            raise UnavailableError("expected an address in ASCII")
        try:
            async with asyncio.timeout(WITHIN.total_seconds()):
                return await self._read(url)
        except (TimeoutError, OSError, httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as error:
            raise UnavailableError(f"no answer: {type(error).__name__}") from error

    async def _read(self, url: str) -> bytes:
        headers = [("Accept", "application/json"), ("User-Agent", "suture")]
        async with (
            httpcore2.AsyncConnectionPool(ssl_context=ssl.create_default_context(), network_backend=self._guard) as pool,
            pool.stream("GET", url, headers=headers) as response,
        ):
            if response.status != 200:
                raise UnavailableError(f"the answer is {response.status}")
            body = bytearray()
            async for part in response.aiter_stream():
                body += part
                if len(body) > LARGEST:
                    raise UnavailableError(f"the answer is larger than {LARGEST} bytes")
            return bytes(body)


class _Guard(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that it has checked itself: what a name meant when somebody else looked counts for nothing."""

    def __init__(self, allowed: Collection[Network], resolve: Resolve) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve
        self._inner = httpcore2.AnyIOBackend()

    async def address(self, host: str, port: int) -> str:
        """One of the addresses of this name, all of which may be reached.

        Raises:
            ConnectError: one may not, or there is none.
        """
        try:
            async with asyncio.timeout(WITHIN.total_seconds()):
                found = sorted(await self._resolve(host, port))
        except (TimeoutError, OSError, UnicodeError):
            found = []
        if not found:
            raise httpcore2.ConnectError("the name of the host is not known")
        if not all(self._may_be_reached(each) for each in found):
            raise httpcore2.ConnectError("the address is a private one, which SUTURE_REACHABLE does not name")
        return found[0]

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - named so by the interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        address = await self.address(host, port)
        return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    def _may_be_reached(self, written: str) -> bool:
        try:
            address = ip_address(written)
        except ValueError:
            return False
        return any(address in network for network in self._allowed) or is_public(address)


def is_public(address: Address) -> bool:
    """Whether it is somebody on the Internet, and not one of us by another name."""
    if address.is_multicast or not address.is_global:
        return False
    return not any(address in network for network in _DENIED)
