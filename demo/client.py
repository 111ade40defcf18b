"""The public API as the story uses it: JSON in, JSON out, a refusal as an error with its problem."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import uuid4

import httpx2

T = TypeVar("T")
_PATIENCE_S = 30.0
_PAUSE_S = 0.05


class RefusedError(Exception):
    """The API said no; `status` and `problem` say why."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status = status
        self.problem = problem


class Api:
    """One person's view of the API."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx2.AsyncClient(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=_PATIENCE_S, trust_env=False
        )

    async def get(self, path: str, **query: str) -> Any:
        return await self._patiently("GET", path, params=query)

    async def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get(path, **query))["items"]
        return found

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        return await self._patiently("POST", path, json=body, headers={"Idempotency-Key": str(uuid4())})

    async def put(self, path: str, body: dict[str, Any]) -> Any:
        return await self._patiently("PUT", path, json=body)

    async def patch(self, path: str, body: dict[str, Any]) -> Any:
        return _read(await self._http.patch(path, json=body))

    async def _patiently(self, method: str, path: str, **request: Any) -> Any:
        """Come again when told to: what is sent twice here counts once."""
        end = time.monotonic() + _PATIENCE_S
        while True:
            answer = await self._http.request(method, path, **request)
            if answer.status_code != 503 or time.monotonic() > end:
                return _read(answer)
            await asyncio.sleep(float(answer.headers.get("Retry-After", _PAUSE_S)))

    async def close(self) -> None:
        await self._http.aclose()


async def until(look: Callable[[], Awaitable[T | None]], *, what: str, within: float = _PATIENCE_S) -> T:
    """The first answer of `look` that is not None.

    Raises:
        TimeoutError: names what was waited for.
    """
    end = time.monotonic() + within
    while time.monotonic() < end:
        if (found := await look()) is not None:
            return found
        await asyncio.sleep(_PAUSE_S)
    raise TimeoutError(f"waited {within:.0f} s in vain for {what}")


def _read(answer: httpx2.Response) -> Any:
    body = answer.json() if answer.content else None
    if answer.is_error:
        raise RefusedError(answer.status_code, body if isinstance(body, dict) else {})
    return body
