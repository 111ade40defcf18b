"""Every answer names its request and its trace."""

import httpx2
import pytest

from api.context import ulid

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("header", ["X-Request-ID", "X-Correlation-ID"])
async def test_a_clients_request_id_is_kept(client: httpx2.AsyncClient, header: str) -> None:
    """Either header names the request."""
    response = await client.get("/v1/orders", headers={header: "01ARZ3NDEKTSV4RRFFQ69G5FAV"})

    assert response.headers["x-request-id"] == "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "a\tb", "é".encode().decode("latin-1"), "a;b"])
async def test_a_malformed_request_id_is_replaced(client: httpx2.AsyncClient, sent: str) -> None:
    """What is no id is never echoed."""
    response = await client.get("/v1/orders", headers=[(b"x-request-id", sent.encode("latin-1"))])

    assert len(response.headers["x-request-id"]) == 26


async def test_a_trace_is_continued_with_a_span_of_our_own(client: httpx2.AsyncClient) -> None:
    """The trace id and the flags stay, the span is new."""
    response = await client.get("/v1/orders", headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})

    version, trace, span, flags = response.headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "00")
    assert span != SPAN


@pytest.mark.parametrize(
    "sent",
    [
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-extra",
        f"00-{TRACE}-{SPAN}",
    ],
)
async def test_a_malformed_trace_is_ignored(client: httpx2.AsyncClient, sent: str) -> None:
    """The request is served under a new trace."""
    response = await client.get("/v1/orders", headers={"traceparent": sent})

    assert response.status_code == 200
    assert TRACE not in response.headers["traceparent"]


async def test_a_later_version_is_read_as_the_first(client: httpx2.AsyncClient) -> None:
    """Fields that a later version adds are skipped."""
    response = await client.get("/v1/orders", headers={"traceparent": f"01-{TRACE}-{SPAN}-01-more"})

    assert TRACE in response.headers["traceparent"]


def test_a_ulid_sorts_by_time() -> None:
    """26 letters of Crockford's base 32, the first within the range of 48 bits of time."""
    made = ulid()

    assert (len(made), made[0] in "01234567", set(made) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")) == (26, True, True)
