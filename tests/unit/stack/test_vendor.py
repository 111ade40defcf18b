"""A program from its vendor is kept when it is what was published, and otherwise the search goes on with nothing kept."""

import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from commands.doctor import search as search_of
from domain.errors import UnavailableError
from settings import Settings
from stack import vendor
from stack.tools import RECIPES, Found, Search, Tool, cached, find

VERSION = RECIPES[Tool.OPA].version
PROGRAM = f'#!/bin/sh\necho "Version: {VERSION}"\n'.encode()
GO = f"""#!/bin/sh
while [ "$1" != "-o" ]; do shift; done
printf '#!/bin/sh\\necho Version: {VERSION}\\n' > "$2"
chmod +x "$2"
"""
IN_SECONDS = 12.0


@dataclass
class Release:
    """What the vendor has; `announced` is the length that it says the program has."""

    program: bytes = PROGRAM
    published: str = hashlib.sha256(PROGRAM).hexdigest() + "  opa_linux_amd64_static\n"
    announced: int | None = None
    asked: list[str] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        release = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                release.asked.append(self.path)
                is_checksum = self.path.endswith(".sha256")
                body = release.published.encode() if is_checksum else release.program
                if not body:
                    return self.send_error(404)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body) if is_checksum else release.announced or len(body)))
                self.end_headers()
                self.wfile.write(body)
                return None

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        return Handler


@contextmanager
def served(release: Release) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), release.handler())
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def unreachable() -> Iterator[str]:
    """An address where nobody ever takes a connection: its queue is full."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def search(tmp_path: Path) -> Search:
    """Finds nothing on this machine, may ask the vendor, and can build."""
    module = tmp_path / "tools" / "opa"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module example\n")
    go = tmp_path / "go"
    go.write_text(GO)
    go.chmod(0o755)
    return Search(modules=tmp_path / "tools", cache=tmp_path / "cache", path=str(tmp_path / "bin"), go=str(go))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Places the vendor's releases elsewhere; the product knows one address and has no setting for it."""

    def place(url: str) -> None:
        monkeypatch.setattr(vendor, "_OPA_RELEASES", url)

    return place


def silent(_: str) -> None: ...


def kept(search: Search) -> list[str]:
    """What lies in the cache, locks apart."""
    return [each.name for each in search.cache.glob("*") if each.suffix != ".lock"]


async def fetched(search: Search) -> None:
    search.cache.mkdir(parents=True)
    await vendor.fetch_opa(VERSION, cached(Tool.OPA, search), silent)


async def test_what_was_published_is_kept(search: Search, at: Callable[[str], None]) -> None:
    """The program of this version and machine is asked for with its checksum, and then runs from the cache."""
    release = Release()
    with served(release) as url:
        at(url)
        location = await find(Tool.OPA, search, silent)
    assert (location.found, location.path) == (Found.DOWNLOAD, cached(Tool.OPA, search))
    assert location.path.read_bytes() == PROGRAM
    assert kept(search) == [f"opa-{VERSION}"]
    assert [path.removesuffix(".sha256") for path in release.asked] == [release.asked[1]] * 2
    assert release.asked[1].startswith(f"/v{VERSION}/opa_linux_")


@pytest.mark.parametrize(
    ("release", "why"),
    [
        (Release(published="0" * 64), "published is 0000"),
        (Release(published="\n"), "published is none"),
        (Release(published=""), "404"),
        (Release(program=b""), "404"),
        (Release(announced=len(PROGRAM) + 1), "failed"),
    ],
    ids=["another checksum", "an empty checksum", "no checksum", "no program", "cut short"],
)
async def test_nothing_else_is_kept(search: Search, at: Callable[[str], None], release: Release, why: str) -> None:
    """Not even a half of it is left behind, and the error says why."""
    with served(release) as url:
        at(url)
        with pytest.raises(UnavailableError, match=why):
            await fetched(search)
    assert kept(search) == []


async def test_a_program_that_is_too_large_is_cut_off(
    search: Search, at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is not filled by whoever answers in the vendor's place."""
    monkeypatch.setattr(vendor, "_LARGEST", len(PROGRAM) - 1)
    with served(Release()) as url:
        at(url)
        with pytest.raises(UnavailableError, match="larger than"):
            await fetched(search)
    assert kept(search) == []


async def test_a_published_program_that_is_another_version_is_not_kept(search: Search, at: Callable[[str], None]) -> None:
    """The checksum is right and the program is not: it is thrown away, and one is built."""
    program = b"#!/bin/sh\necho Version: 0.1.0\n"
    told: list[str] = []
    with served(Release(program=program, published=hashlib.sha256(program).hexdigest())) as url:
        at(url)
        location = await find(Tool.OPA, search, told.append)
    assert location.found is Found.BUILD
    assert any("does not run as version" in line for line in told)


async def test_without_a_connection_the_search_goes_on_within_seconds(search: Search, at: Callable[[str], None]) -> None:
    """Nobody answers at the vendor's address: that is said, and the program is built."""
    told: list[str] = []
    began = time.monotonic()
    with unreachable() as url:
        at(url)
        location = await find(Tool.OPA, search, told.append)
    assert (location.found, time.monotonic() - began < IN_SECONDS) == (Found.BUILD, True)
    assert any("download failed" in line for line in told)
    assert kept(search) == [f"opa-{VERSION}"]


async def test_the_engines_downloader_gives_up_within_seconds(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK has no timeout of its own; without a connection it is left, and leaves nothing."""
    search.cache.mkdir(parents=True)
    began = time.monotonic()
    with unreachable() as url:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, url)
        with pytest.raises(UnavailableError, match="download failed"):
            await vendor.fetch_temporal(RECIPES[Tool.TEMPORAL].version, cached(Tool.TEMPORAL, search), silent)
    assert time.monotonic() - began < IN_SECONDS
    assert kept(search) == []


async def test_the_setting_keeps_us_from_asking(search: Search, at: Callable[[str], None]) -> None:
    """Switched off, the vendor hears nothing, and the program is built."""
    release, chosen = Release(), Settings(download=False)
    with served(release) as url:
        at(url)
        location = await find(Tool.OPA, search.model_copy(update={"download": search_of(chosen).download}), silent)
    assert (location.found, release.asked) == (Found.BUILD, [])
    assert search_of(Settings(download=True)).download
