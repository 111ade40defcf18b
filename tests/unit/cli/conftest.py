"""A tiny HTTP server in the place of the API, and `suture` run in this process."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli import app

TOKEN = "sut_one_two_three"


@dataclass
class Stub:
    """Answers what it was told to, and remembers what it was asked."""

    url: str = ""
    answers: dict[str, tuple[int, Any, dict[str, str]]] = field(default_factory=dict)
    asked: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)

    def on(self, request: str, body: Any, *, status: int = 200, **headers: str) -> None:
        """`request` is like `GET /pipelines?limit=200`; bytes go out as they are."""
        self.answers[request] = (status, body, headers)

    def refuse(self, request: str, status: int, code: str, detail: str = "no") -> None:
        problem = {
            "type": f"/problems/{code}",
            "title": "x",
            "status": status,
            "detail": detail,
            "instance": "r1",
            "errors": [],
        }
        self.on(request, problem, status=status)

    def bodies(self, request: str) -> list[Any]:
        return [body for asked, body, _ in self.asked if asked == request]


class _Handler(BaseHTTPRequestHandler):
    stub: Stub

    def answer(self) -> None:
        asked = f"{self.command} {self.path.removeprefix('/api/v1')}"
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.stub.asked.append((asked, json.loads(sent) if sent else None, dict(self.headers)))
        status, body, headers = self.stub.answers.get(asked, (404, {"type": "/problems/not_found", "detail": asked}, {}))
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the names that the base class looks for

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stub": made}))
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


Suture = Callable[..., Result]


@pytest.fixture
def suture(stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path) -> Suture:
    """Run `suture` with words, against the stub; a value of None takes a variable away."""
    monkeypatch.setenv("SUTURE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SUTURE_API_URL", stub.url)
    monkeypatch.setenv("SUTURE_TOKEN", TOKEN)

    def run(*words: str, stdin: str = "", **environment: str | None) -> Result:
        return CliRunner().invoke(app, words, input=stdin, env=environment)

    return run


def listed(*items: dict[str, Any], following: str | None = None) -> dict[str, Any]:
    return {"items": list(items), "next": following}
