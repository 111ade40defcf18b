"""A local HTTP server with the series files that can be told to fail: the upstream of the flaky-upstream story."""

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Self

_PATIENCE_SECONDS = 10


class Upstream:
    """Serves the files of a folder on the loopback while it is entered."""

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self._files = {f"/{path.name}": path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self._lock = Lock()
        self._failing = 0
        self._requests = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def requests(self) -> int:
        """How many requests have been answered, failed ones included."""
        with self._lock:
            return self._requests

    def fail_next(self, count: int) -> None:
        """Answer the next `count` requests with 503."""
        with self._lock:
            self._failing = count

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_PATIENCE_SECONDS)

    def _answer(self, path: str) -> tuple[HTTPStatus, bytes]:
        with self._lock:
            self._requests += 1
            if self._failing:
                self._failing -= 1
                return HTTPStatus.SERVICE_UNAVAILABLE, b"try again later\n"
        if path in self._files:
            return HTTPStatus.OK, self._files[path]
        return HTTPStatus.NOT_FOUND, b"no such file\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            timeout = _PATIENCE_SECONDS

            def do_GET(self) -> None:
                status, content = answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """The story counts the requests; it does not print them."""

        return Handler
