"""A hostile body is refused with a precise problem, repeated nowhere, and never a server error."""

import json
import time
from typing import Any

import httpx2
import pytest

from api.errors import MalformedError
from api.strict_json import DEEPEST, MOST_PARTS, parse
from tests.unit.api.edge import Edge

MARK = "hunter2"
PLAN = f"plan_{'0' * 26}"
CORPUS: dict[str, tuple[bytes, int, str]] = {
    "nul in text": (rb'{"name": "hunter2\u0000"}', 400, "/name"),
    "nul in key": (rb'{"name": "x", "labels": {"hunter2\u0000": "v"}}', 400, "/labels/?"),
    "raw nul": (b'{"name": "hunter2\x00"}', 400, ""),
    "lone surrogate": (rb'{"name": "hunter2\ud800"}', 400, "/name"),
    "low surrogate in label": (rb'{"name": "x", "labels": {"a": "\udc00hunter2"}}', 400, "/labels/a"),
    "surrogate bytes": (b'{"name": "hunter2\xed\xa0\x80"}', 400, ""),
    "nan": (b'{"name": "hunter2", "price": NaN}', 400, "/price"),
    "nan in label": (b'{"name": "hunter2", "labels": {"a": NaN}}', 400, "/labels/a"),
    "minus infinity": (b'{"name": "hunter2", "nested": [1, -Infinity]}', 400, "/nested/1"),
    "1e999": (b'{"name": "hunter2", "price": 1e999}', 400, "/price"),
    "int64 + 1": (b'{"name": "hunter2", "count": 9223372036854775808}', 400, "/count"),
    "minus int64 - 1": (b'{"name": "hunter2", "count": -9223372036854775809}', 400, "/count"),
    "5000 digits": (b'{"name": "hunter2", "count": ' + b"9" * 5000 + b"}", 400, "/count"),
    "duplicate key": (b'{"name": "a", "name": "hunter2"}', 400, "/name"),
    "nested duplicate": (b'{"name": "a", "nested": [{"b": 1, "b": "hunter2"}]}', 400, "/nested/0/b"),
    "duplicate of secret key": (b'{"name": "a", "nested": {"hunter2 !": 1, "hunter2 !": 2}}', 400, "/nested/?"),
    "byte order mark": (b'\xef\xbb\xbf{"name": "hunter2"}', 400, ""),
    "utf-16": ('{"name": "hunter2"}'.encode("utf-16"), 400, ""),
    "utf-16-le": ('{"name": "hunter2"}'.encode("utf-16-le"), 400, ""),
    "utf-32": ('{"name": "hunter2"}'.encode("utf-32"), 400, ""),
    "latin-1": (b'{"name": "hunter2\xe9"}', 400, ""),
    "too deep": (b'{"name": "hunter2", "nested": ' + b"[" * 40 + b"]" * 40 + b"}", 400, ""),
    "deep beyond the stack": (b"[" * 500_000, 400, ""),
    "deep objects": (b'{"a":' * 100_000, 400, ""),
    "too many": (b'{"name": "hunter2", "nested": [' + b"1," * 300_000 + b"1]}", 400, ""),
    "unclosed escapes": (b'{"name": "hunter2' + rb"\"" * 250_000, 400, ""),
    "truncated": (b'{"name": "hunter2"', 400, ""),
    "two documents": (b'{"name": "hunter2"} {}', 400, ""),
    "single quotes": (b"{'name': 'hunter2'}", 400, ""),
    "control character": (b'{"name": "hunter2\n"}', 400, ""),
    "only spaces": (b"   ", 400, ""),
    "unknown field": (b'{"name": "x", "org_id": "hunter2"}', 422, "/org_id"),
    "unknown odd field": (b'{"name": "x", "hunter2 <script>": 1}', 422, "/?"),
    "unknown long field": (b'{"name": "x", "hunter2' + b"a" * 5000 + b'": 1}', 422, "/?"),
    "missing field": (b'{"price": 1}', 422, "/name"),
    "wrong type": (b'{"name": {"hunter2": 1}}', 422, "/name"),
    "text for number": (b'{"name": "x", "price": "hunter2"}', 422, "/price"),
    "bad id": (b'{"name": "x", "plan": "hunter2"}', 422, "/plan"),
    "bad id characters": (b'{"name": "x", "plan": "hunter2z-hunter2z-hunter2z-hunter2z-1234"}', 422, "/plan"),
    "array": (b'["hunter2"]', 422, ""),
    "scalar": (b'"hunter2"', 422, ""),
    "null": (b"null", 422, ""),
}


async def send(client: httpx2.AsyncClient, body: bytes, *, method: str = "POST", path: str = "/v1/orders") -> httpx2.Response:
    return await client.request(method, path, content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/orders"), ("PATCH", f"/v1/orders/{PLAN}")])
@pytest.mark.parametrize("name", CORPUS)
async def test_a_hostile_body_is_refused_where_it_is_wrong(
    edge: Edge, client: httpx2.AsyncClient, name: str, method: str, path: str
) -> None:
    """The problem names status, pointer and code; nothing submitted comes back; no handler ran."""
    body, status, pointer = CORPUS[name]

    response = await send(client, body, method=method, path=path)

    problem = response.json()
    assert (response.status_code, problem["errors"][0]["pointer"]) == (status, pointer)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["instance"] == response.headers["x-request-id"]
    assert MARK not in response.text
    assert edge.seen == []


@pytest.mark.parametrize("name", [name for name, row in CORPUS.items() if row[1] == 400])
async def test_a_hostile_body_is_refused_by_a_route_without_body(edge: Edge, client: httpx2.AsyncClient, name: str) -> None:
    """A route that reads no body still refuses one that is broken."""
    response = await send(client, CORPUS[name][0], path=f"/v1/orders/{PLAN}/act")

    assert (response.status_code, edge.seen) == (400, [])


@pytest.mark.parametrize(
    ("media", "status"),
    [
        ("application/json", 201),
        ("Application/JSON; charset=UTF-8", 201),
        ('application/json;charset="utf-8"', 201),
        ("application/json; charset=utf-16", 415),
        ("application/problem+json", 415),
        ("application/yaml", 415),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
        ("application/json, text/plain", 415),
    ],
)
async def test_only_json_in_utf8_is_taken(client: httpx2.AsyncClient, media: str, status: int) -> None:
    """The media type is said, and it is JSON."""
    response = await client.post("/v1/orders", content=b'{"name": "x"}', headers={"content-type": media})

    assert response.status_code == status


async def test_two_content_types_are_refused(client: httpx2.AsyncClient) -> None:
    """A body with two media types has none."""
    headers = [("content-type", "application/json"), ("content-type", "text/plain")]

    assert (await client.post("/v1/orders", content=b'{"name": "x"}', headers=headers)).status_code == 415


async def test_an_empty_body_is_missing(client: httpx2.AsyncClient) -> None:
    """Nothing at all is 422 where a body is needed and fine where none is."""
    needed = await client.post("/v1/orders", headers={"content-type": "application/json"})
    unneeded = await client.post(f"/v1/orders/{PLAN}/act")

    assert (needed.status_code, unneeded.status_code) == (422, 200)
    assert needed.json()["errors"] == [{"pointer": "", "code": "missing", "message": "is required"}]


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"a: 1\n", "application/yaml", 200),
        (b"a: 1\n", "application/json", 415),
        (b'{"a": 1}', "application/json", 415),
        (b"a: \x00", "application/yaml", 400),
        (b"a: \xff", "application/yaml", 400),
        (b"\xef\xbb\xbfa: 1", "application/yaml", 400),
        (b"", "application/yaml", 400),
    ],
)
async def test_a_yaml_route_takes_clean_text(client: httpx2.AsyncClient, body: bytes, media: str, status: int) -> None:
    """YAML is text that is safe to store; its meaning is the route's."""
    response = await client.put("/v1/documents", content=body, headers={"content-type": media})

    assert response.status_code == status


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, -1.5, True, None, "\u00e9\U0001f600"], "b": {"c": []}},
        [2**63 - 1, -(2**63)],
        ["\\u0000", "\\ud800", "[[[[" * 100, '"'],
        [],
        "text",
        0,
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_honest_json_is_read_as_it_is(value: Any, *, ascii_only: bool) -> None:
    """Escaped backslashes, surrogate pairs and brackets in strings are no flaws."""
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


def test_the_bounds_are_reached_and_not_passed() -> None:
    """Exactly as deep and as many as allowed is taken."""
    deepest = parse(b"[" * DEEPEST + b"]" * DEEPEST)
    most = parse(b"[" + b"1," * (MOST_PARTS - 3) + b"1]")

    assert isinstance(deepest, list)
    assert isinstance(most, list)


@pytest.mark.parametrize("name", ["too many", "unclosed escapes", "deep beyond the stack", "deep objects"])
def test_refusing_takes_no_longer_than_reading(name: str) -> None:
    """No hostile megabyte costs more than a fraction of a second."""
    began = time.process_time()
    with pytest.raises(MalformedError):
        parse(CORPUS[name][0])

    assert time.process_time() - began < 0.5
