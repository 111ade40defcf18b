"""How the story talks to the API."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from demo.client import Api, RefusedError

SAID = {"id": "one"}


@contextmanager
def api(*answers: int) -> Iterator[tuple[str, list[str | None]]]:
    """An API that answers so, one status after the other; the keys that it was sent."""
    keys: list[str | None] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            keys.append(self.headers["Idempotency-Key"])
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(SAID).encode()
            self.send_response(left.pop(0))
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", keys
        finally:
            server.shutdown()
            thread.join()


async def test_it_comes_again_when_told_to() -> None:
    """503 is sent again under the same key, so that it counts once."""
    with api(503, 503, 201) as (url, keys):
        client = Api(url, "token")
        assert await client.post("/things", {}) == SAID
        await client.close()
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert keys[0]


async def test_a_refusal_is_told() -> None:
    """Any other refusal is an error at once, and the next request has a key of its own."""
    with api(409, 201) as (url, keys):
        client = Api(url, "token")
        with pytest.raises(RefusedError, match="409"):
            await client.post("/things", {})
        await client.post("/things", {})
        await client.close()
    assert len(set(keys)) == 2
