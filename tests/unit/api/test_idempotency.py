"""One key, one effect."""

import asyncio

import httpx2
import pytest

from api.errors import MalformedError
from api.idempotency import parse_key
from tests.unit.api.edge import Edge

PLAN, OTHER_PLAN = f"plan_{'0' * 26}", f"plan_{'0' * 25}1"


async def post(client: httpx2.AsyncClient, name: str, *, key: str = "k1", caller: str | None = None) -> httpx2.Response:
    headers = {"idempotency-key": key} | ({"authorization": caller} if caller else {})
    return await client.post("/v1/orders", json={"name": name}, headers=headers)


async def test_a_repeat_gets_the_stored_answer(edge: Edge, client: httpx2.AsyncClient) -> None:
    """The handler runs once; quoted and bare are the same key."""
    first = await post(client, "x")
    again = await post(client, "x", key='"k1"')

    assert (first.status_code, first.content, "idempotency-replayed" in first.headers) == (201, b'{"orders":1}', False)
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (201, b'{"orders":1}', "true")
    assert again.headers["content-type"] == first.headers["content-type"]
    assert len(edge.seen) == 1


async def test_another_body_under_the_same_key_is_refused(client: httpx2.AsyncClient) -> None:
    """422, and the first answer stays."""
    await post(client, "x")
    refused = await post(client, "y")

    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/idempotency_key_reused")
    assert (await post(client, "x")).headers["idempotency-replayed"] == "true"


async def test_another_target_under_the_same_key_is_refused(client: httpx2.AsyncClient) -> None:
    """The ids in the path belong to the request as the body does."""
    headers = {"idempotency-key": "k"}
    first = await client.post(f"/v1/orders/{PLAN}/act", headers=headers)
    other = await client.post(f"/v1/orders/{OTHER_PLAN}/act", headers=headers)

    assert (first.status_code, other.status_code) == (200, 422)


async def test_while_the_first_runs_a_repeat_is_409(edge: Edge, client: httpx2.AsyncClient) -> None:
    """Nobody waits in line behind a running request."""
    first = asyncio.ensure_future(post(client, "wait"))
    while not edge.seen:
        await asyncio.sleep(0)
    second = await post(client, "wait")
    edge.gate.set()

    assert (second.status_code, second.json()["type"]) == (409, "/problems/idempotency_key_running")
    assert ((await first).status_code, len(edge.seen)) == (201, 1)


async def test_another_org_has_keys_of_its_own(edge: Edge, client: httpx2.AsyncClient) -> None:
    """The same letters elsewhere are another key."""
    mine, theirs = await post(client, "x"), await post(client, "other", caller="other")

    assert (mine.content, theirs.content, len(edge.seen)) == (b'{"orders":1}', b'{"orders":2}', 2)


async def test_a_final_refusal_is_kept(edge: Edge, client: httpx2.AsyncClient) -> None:
    """A 409 of the domain is an answer like any other."""
    first, again = await post(client, "stale"), await post(client, "stale")

    assert (first.status_code, again.status_code, again.headers["idempotency-replayed"]) == (409, 409, "true")
    assert (again.headers["content-type"], len(edge.seen)) == ("application/problem+json", 1)


@pytest.mark.parametrize(("name", "status"), [("down", 503), ("bug", 500), ("wait", 503)])
async def test_a_failure_gives_the_key_back(hasty: tuple[Edge, httpx2.AsyncClient], name: str, status: int) -> None:
    """After an outage, a bug or the deadline the client may try again."""
    edge, client = hasty
    first, again = await post(client, name), await post(client, name)

    assert (first.status_code, again.status_code, len(edge.seen)) == (status, status, 2)
    assert edge.store.rows == {}


async def test_a_hostile_body_never_reaches_the_store(edge: Edge, client: httpx2.AsyncClient) -> None:
    """Bodies are checked first."""
    headers = {"idempotency-key": "k", "content-type": "application/json"}
    response = await client.post("/v1/orders", content=b'{"name": NaN}', headers=headers)

    assert (response.status_code, edge.store.rows) == (400, {})


@pytest.mark.parametrize("sent", ["", " ", '""', "a b", "k" * 256, "k\x7f", "ké", '"open', '"a"b"', '"a\\n"'])
def test_a_malformed_key_is_refused(sent: str) -> None:
    """One to 255 visible ASCII characters, quoted or bare."""
    with pytest.raises(MalformedError):
        parse_key([sent])


def test_two_keys_are_none() -> None:
    """A header sent twice is ambiguous."""
    with pytest.raises(MalformedError):
        parse_key(["a", "a"])


@pytest.mark.parametrize(
    ("sent", "key"), [("a", "a"), ('"a"', "a"), (r'"a\"b\\c"', 'a"b\\c'), ("k" * 255, "k" * 255), (" a ", "a")]
)
def test_a_key_is_read_in_both_forms(sent: str, key: str) -> None:
    """Escapes count inside quotes only."""
    assert parse_key([sent]) == key
