"""Answers that hold a secret are given once: a replay of their Idempotency-Key gets the same answer without it."""

import json

from starlette.requests import Request
from starlette.responses import Response

from api.body import Handler, StrictRequest
from api.idempotency import KeyedRoute

SECRETS = frozenset({"secret", "code", "url"})


class ShownOnceRoute(KeyedRoute):
    """A route whose answer is stored without its `secret`, `code` and `url`."""

    async def serve(self, request: StrictRequest, handler: Handler) -> Response:
        shown: list[Response] = []

        async def without_secret(request: Request) -> Response:
            response = await handler(request)
            response.headers["Cache-Control"] = "no-store"
            shown.append(response)
            return _redacted(response)

        answered = await super().serve(request, without_secret)
        return shown[0] if shown else answered


def _redacted(response: Response) -> Response:
    if response.headers.get("content-type") != "application/json":
        return response
    body = {name: None if name in SECRETS else value for name, value in json.loads(bytes(response.body)).items()}
    return Response(json.dumps(body), status_code=response.status_code, media_type="application/json")
