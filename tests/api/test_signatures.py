"""Whoever cannot sign is nobody, however a signature is written, cut or borrowed."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.doors import REQUESTS, an_endpoint, post
from tests.api.site import EVERY, Person, Site
from tests.database import FoundOrg
from tests.unit.adapters.sources.requests import SECRET, Case, case

SIGNING = {
    "github": ("x-hub-signature-256", "sha256={}"),
    "grafana": ("x-grafana-alerting-signature", "{}"),
    "pagerduty_webhooks": ("x-pagerduty-signature", "v1={}"),
    "sentry": ("sentry-hook-signature", "{}"),
}
"""The header of each source that signs, and how it writes the digest."""
OTHER = "the-secret-of-another-endpoint"
NOT_UTF8 = b'{"alerts": [{"labels": {"a": "\xff\xfe"}}]}'


def signed(message: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), message, "sha256").hexdigest()


def forgeries(given: Case) -> Mapping[str, bytes | None]:
    """What stands in the header instead of the signature, if anything."""
    _, form = SIGNING[given.kind]
    right, wrong = signed(given.body), signed(given.body, "a-key-that-nobody-has")
    return {
        "none": None,
        "empty": b"",
        "cut": form.format(right)[:-1].encode(),
        "half": form.format(right[:32]).encode(),
        "the version alone": form.format("").encode(),
        "a version without its comma": f"v1{right}".encode(),
        "another version": f"v0={right}".encode(),
        "longer": form.format(right + "00").encode(),
        "a wrong key": form.format(wrong).encode(),
        "another endpoint's key": form.format(signed(given.body, OTHER)).encode(),
        "of an empty key": form.format(signed(given.body, "")).encode(),
        "of another body": form.format(signed(given.body + b" ")).encode(),
        "an id with a dot before it": form.format(f"msg_1.2.{right}").encode(),
        "not UTF-8": b"\xff\xfe\x80",
        "many": b",".join([b"v1="] * 2_000),
    }


def wearing(given: Case, signature: bytes | None) -> dict[str, str | bytes]:
    header, _ = SIGNING[given.kind]
    kept: dict[str, str | bytes] = {name: value for name, value in given.index["headers"].items() if name != header}
    return kept if signature is None else kept | {header: signature}


@pytest.mark.parametrize("kind", SIGNING)
async def test_a42_a_request_without_a_right_signature_is_401(
    site: Site, someone: Person, found_org: FoundOrg, kind: str
) -> None:
    """None, cut, of a wrong key, of another endpoint's key, of another body, in bytes that are no text: never a 500."""
    given = REQUESTS[kind]
    endpoint = await an_endpoint(someone, given)
    stranger = await site.person(await found_org(), *EVERY)
    await an_endpoint(stranger, given, secret=OTHER, environment=None)

    answers = {name: await post(site, given, endpoint, headers=wearing(given, each)) for name, each in forgeries(given).items()}

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 401)


@pytest.mark.parametrize("kind", SIGNING)
async def test_a42_a_body_that_is_not_utf8_is_nothing_to_sign_for(site: Site, someone: Person, kind: str) -> None:
    """With the signature of another body it is 401; signed as it is, it is a delivery of which nothing is understood."""
    given = REQUESTS[kind]
    endpoint, (_, form) = await an_endpoint(someone, given), SIGNING[kind]

    unsigned = await post(site, given, endpoint, body=NOT_UTF8)
    right = await post(site, given, endpoint, body=NOT_UTF8, headers=wearing(given, form.format(signed(NOT_UTF8)).encode()))

    assert unsigned.status_code == 401
    assert (right.status_code, right.json()["refused"]) == (202, 1)


@pytest.mark.parametrize(
    ("age", "status"), [(timedelta(minutes=6), 401), (-timedelta(minutes=6), 401), (timedelta(minutes=4), 202)]
)
async def test_a42_a_signature_of_six_minutes_ago_is_401(site: Site, someone: Person, age: timedelta, status: int) -> None:
    """Grafana signs the time, too: whoever recorded a request cannot send it again later, and no clock runs that far ahead."""
    given = case("grafana/signed_with_time")
    endpoint, sent = await an_endpoint(someone, given), str(int((datetime.now(UTC) - age).timestamp()))
    header, _ = SIGNING["grafana"]
    timed = {header: signed(sent.encode() + b":" + given.body), "x-grafana-alerting-timestamp": sent}

    assert (await post(site, given, endpoint, headers=timed)).status_code == status


@pytest.mark.parametrize("sent", ["", "now", "0", "1.7e9", "-1", "9" * 40, "1767225600.5.1"])
async def test_a42_a_time_that_is_none_is_401(site: Site, someone: Person, sent: str) -> None:
    """However well it is signed."""
    given = case("grafana/signed_with_time")
    header, _ = SIGNING["grafana"]
    timed = {header: signed(sent.encode() + b":" + given.body), "x-grafana-alerting-timestamp": sent}

    assert (await post(site, given, await an_endpoint(someone, given), headers=timed)).status_code == 401
