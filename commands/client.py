"""The API by HTTP: ask, send, walk a list, fetch a file; every refusal becomes a `CommandError`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx2
from pydantic import SecretStr

from commands.exits import CommandError, Exit, refusal_of

_PREFIX = "/api/v1"
_CONNECT = timedelta(seconds=5)
_ANSWER = timedelta(seconds=60)
_PAGE = 200
_ACCEPTED = 202

Json = Any


class Answer:
    """A body, and whether the API has only taken note so far."""

    def __init__(self, body: Json, *, is_pending: bool) -> None:
        self.body = body
        self.is_pending = is_pending


class Api:
    """One API with one token; redirects are never followed, so the token stays with that API."""

    def __init__(self, url: str, token: SecretStr) -> None:
        self._url = url
        self._web = httpx2.Client(
            base_url=f"{url.rstrip('/')}{_PREFIX}",
            headers={"Authorization": f"Bearer {token.get_secret_value()}", "User-Agent": "suture"},
            timeout=httpx2.Timeout(_ANSWER.total_seconds(), connect=_CONNECT.total_seconds()),
            trust_env=False,
        )

    def get(self, path: str, **query: object) -> Json:
        return self._ask("GET", path, params=_known(query)).body

    def send(self, method: str, path: str, body: Json = None) -> Answer:
        return self._ask(method, path, json=body)

    def items(self, path: str, *, limit: int | None = None, **query: object) -> list[dict[str, Any]]:
        """A list from its first item on, `limit` of them or all."""
        found: list[dict[str, Any]] = []
        for item in self.walk(path, limit=limit, **query):
            found.append(item)
            if limit is not None and len(found) >= limit:
                break
        return found

    def walk(self, path: str, *, limit: int | None = None, **query: object) -> Iterator[dict[str, Any]]:
        """As `items`, one page at a time."""
        wanted = _known(query) | {"limit": min(limit or _PAGE, _PAGE)}
        while True:
            page = self.get(path, **wanted)
            yield from page["items"]
            if not page.get("next"):
                return
            wanted["cursor"] = page["next"]

    @contextmanager
    def stream(self, path: str) -> Iterator[Iterator[bytes]]:
        """The body in pieces, for what may be large."""
        with self._reached(), self._web.stream("GET", path) as response:
            if response.is_error:
                response.read()
                raise self._refusal(response)
            yield response.iter_bytes()

    def _ask(self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: Json = None) -> Answer:
        with self._reached():
            response = self._web.request(method, path, params=params, json=json)
        if response.is_error:
            raise self._refusal(response)
        if response.is_redirect:
            raise self._strange()
        return Answer(self._body(response), is_pending=response.status_code == _ACCEPTED)

    def _body(self, response: httpx2.Response) -> Json:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise self._strange() from None

    def _refusal(self, response: httpx2.Response) -> CommandError:
        try:
            problem = response.json()
        except ValueError:
            problem = {}
        known = problem if isinstance(problem, dict) else {}
        return refusal_of(response.status_code, known, retry_after=response.headers.get("Retry-After", ""))

    def _strange(self) -> CommandError:
        return CommandError(f"what answers at {self._url} is not this API", next_step="check SUTURE_API_URL or --api-url")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except httpx2.ConnectError:
            raise CommandError(f"nothing answers at {self._url}", next_step="`suture up` starts the stack") from None
        except httpx2.TimeoutException:
            raise CommandError(f"{self._url} did not answer in time", next_step="`suture doctor`, then try again") from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
            raise CommandError(f"{self._url} is no address", next_step="check SUTURE_API_URL or --api-url") from None


def _known(query: Mapping[str, object]) -> dict[str, Any]:
    return {name: str(value) for name, value in query.items() if value is not None}


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` can stand in a path as an id of this kind."""
    return text.startswith(f"{prefix}_") and text.isascii() and text.removeprefix(f"{prefix}_").isalnum()


def path_id(text: str, prefix: str) -> str:
    """The id, safe in a path.

    Raises:
        CommandError: it is no id of this kind.
    """
    if not is_id(text, prefix):
        raise CommandError(
            f"expected an id that begins with {prefix}_", code=Exit.USAGE, next_step="the list command shows ids"
        )
    return text
