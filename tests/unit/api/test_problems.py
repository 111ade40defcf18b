"""Everything that goes wrong is told as Problem+JSON."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from api.problems import LastResort, Problem, describe, pointer, refusals
from domain.errors import ForbiddenError, StalePlanError, UnauthenticatedError
from tests.unit.api.edge import Edge

PLAN = f"plan_{'0' * 26}"


async def test_a_declared_refusal_says_its_code_and_sentence(client: httpx2.AsyncClient) -> None:
    """A domain error becomes its status, its type and its sentence."""
    response = await client.post("/v1/orders", json={"name": "stale"}, headers={"x-request-id": "abc-1"})

    assert Problem.model_validate_json(response.content) == Problem(
        type="/problems/stale_plan", title="Conflict", status=409, detail="the plan is stale", instance="abc-1"
    )


async def test_an_outage_keeps_its_address_and_says_when_to_retry(client: httpx2.AsyncClient) -> None:
    """503 carries Retry-After, and no inner address."""
    response = await client.post("/v1/orders", json={"name": "down"})

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "10.0.0.1" not in response.text


async def test_a_bug_is_a_500_that_says_only_its_request_id(
    client: httpx2.AsyncClient, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """Neither the answer nor the log holds the exception's values."""
    response = await client.post("/v1/orders", json={"name": "bug"}, headers={"x-request-id": "abc-2"})

    logged = next(line for line in lines() if line["event"] == "request failed")
    assert (response.status_code, response.json()["instance"], response.headers["x-request-id"]) == (500, "abc-2", "abc-2")
    assert (logged["error"], logged["correlation_id"]) == ("KeyError", "abc-2")
    assert "hunter2" not in response.text + str(logged)


async def test_a_missing_credential_is_challenged(client: httpx2.AsyncClient) -> None:
    """401 names the scheme."""
    headers = {"authorization": "nobody", "idempotency-key": "k"}
    response = await client.post("/v1/orders", json={"name": "x"}, headers=headers)

    assert (response.status_code, response.headers["www-authenticate"]) == (401, 'Bearer realm="suture"')


async def test_a_wrong_method_names_the_right_ones(client: httpx2.AsyncClient) -> None:
    """405 lists what is allowed."""
    response = await client.delete(f"/v1/orders/{PLAN}")

    assert (response.status_code, response.headers["allow"]) == (405, "PATCH")
    assert response.json()["type"] == "/problems/method_not_allowed"


@pytest.mark.parametrize(
    ("query", "status", "place"),
    [
        ("limit=0", 422, "query:limit"),
        ("limit=201", 422, "query:limit"),
        ("limit=99999999999999999999999", 422, "query:limit"),
        ("limit=hunter2", 422, "query:limit"),
        ("q=" + "hunter2" * 9, 422, "query:q"),
        ("q=hunter2%00", 400, "query:"),
        ("q=%ff", 400, "query:"),
        ("q=%0d%0a", 400, "query:"),
    ],
)
async def test_a_bad_query_is_refused(client: httpx2.AsyncClient, query: str, status: int, place: str) -> None:
    """Query values are as strict as bodies."""
    response = await client.get(f"/v1/orders?{query}")

    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (status, place)
    assert "hunter2" not in response.text


async def test_a_bad_id_in_the_path_is_refused(client: httpx2.AsyncClient) -> None:
    """An id of another form names the parameter, not the value."""
    response = await client.patch("/v1/orders/hunter2", json={"name": "x"})

    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "path:plan_id")
    assert "hunter2" not in response.text


def test_a_pointer_shows_fields_and_hides_the_rest() -> None:
    """What looks like a field name is shown; anything else was submitted."""
    assert pointer("steps", 3, "name", "a/b", "x" * 41) == "/steps/3/name/?/?"


def test_refusals_are_grouped_by_status() -> None:
    """One entry per status, its codes in the description."""
    documented = refusals(StalePlanError, ForbiddenError, UnauthenticatedError)

    assert list(documented) == [401, 403, 409, 422]
    assert documented[409]["description"] == "Conflict: stale_plan"


def test_the_document_resolves_every_reference(edge: Edge) -> None:
    """The schema that refusals point at is in the document."""
    document = describe(edge.app.openapi())

    assert {"Problem", "Flaw"} <= set(document["components"]["schemas"])
    content = document["paths"]["/v1/orders"]["post"]["responses"]["409"]["content"]
    assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.mark.parametrize("error", [ValueError("hunter2"), ClientDisconnect()])
async def test_an_accident_after_the_answer_began_is_not_answered_twice(
    error: Exception, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """Half an answer is cut by the server; a client that left is no error."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await LastResort(app)({"type": "http", "method": "GET"}, receive, send)

    assert [message["type"] for message in sent] == ["http.response.start"]
    assert [line["level"] for line in lines() if line["level"] == "error"] == ["error"] * isinstance(error, ValueError)
