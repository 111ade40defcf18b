"""A policy engine that is down, slow or unclear decides nothing."""

import time
from pathlib import Path

import pytest

from adapters.opa import OpaPolicy
from domain.errors import ForbiddenError, InvalidError, UnavailableError
from domain.policy import Tier
from tests.unit.adapters.opa_server import (
    build_bundle,
    free_port,
    pretending,
    saying,
    serving,
    silence,
    until_ready,
    with_bundle,
)
from tests.unit.adapters.policy_facts import APPROVAL, AUTONOMY, DECISION, PREFLIGHT, START, codes


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bundle(tmp_path_factory.mktemp("bundle"))


async def test_killed_server_is_unavailable_until_it_is_back(bundle: Path) -> None:
    """A dead server decides nothing; the same port serves again as soon as a server is back."""
    port = free_port()
    async with OpaPolicy(f"http://127.0.0.1:{port}") as policy:
        with serving(port, *with_bundle(bundle)):
            await until_ready(port)
            assert (await policy.autonomy(AUTONOMY)).tier is Tier.AUTO
        with pytest.raises(UnavailableError):
            await policy.autonomy(AUTONOMY)
        with serving(port, *with_bundle(bundle)):
            await until_ready(port)
            assert (await policy.autonomy(AUTONOMY)).tier is Tier.AUTO


async def test_server_without_its_bundle_decides_nothing(bundle: Path) -> None:
    """Answers from a bundle of another name do not count."""
    port = free_port()
    with serving(port, *with_bundle(bundle, "stranger")):
        await until_ready(port)
        async with OpaPolicy(f"http://127.0.0.1:{port}") as policy:
            with pytest.raises(UnavailableError, match="no bundle named suture"):
                await policy.autonomy(AUTONOMY)


async def test_slow_server_is_unavailable_in_time() -> None:
    """A server that never answers is given up when patience ends."""
    async with pretending(silence) as policy:
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="no answer within"):
            await policy.autonomy(AUTONOMY)

        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("status", "body"),
    [("500 Oops", "{}"), ("503 Oops", "{}"), ("400 Oops", "{}"), ("200 OK", "nonsense"), ("200 OK", "[]"), ("200 OK", "{}")],
)
async def test_answer_that_is_none_is_unavailable(status: str, body: str) -> None:
    """Failures, text that is no JSON and answers without a revision decide nothing."""
    async with pretending(saying(status, body)) as policy:
        with pytest.raises(UnavailableError):
            await policy.authorize(START)


def result(value: str) -> str:
    return f'{{"provenance": {{"bundles": {{"suture": {{"revision": "r9"}}}}}}{value}}}'


@pytest.mark.parametrize(
    "value",
    [
        "",
        ', "result": null',
        ', "result": true',
        ', "result": {"allow": false, "deny": []}',
        ', "result": {"allow": 1, "deny": []}',
    ],
)
async def test_unclear_answer_is_a_no(value: str) -> None:
    """An undefined or malformed answer refuses, blocks and names no approver."""
    async with pretending(saying("200 OK", result(value))) as policy:
        assert codes(await policy.authorize(START)) == {"PO001"}
        assert codes(await policy.may_decide(DECISION)) == {"PO001"}
        assert codes(await policy.preflight(PREFLIGHT)) == {"PO001"}
        assert (await policy.autonomy(AUTONOMY)).tier is Tier.BLOCK
        with pytest.raises(ForbiddenError):
            await policy.approval_rule(APPROVAL)


async def test_malformed_rule_names_no_approver() -> None:
    """A rule without a quorum is no rule."""
    async with pretending(saying("200 OK", result(', "result": {"tier": "human", "quorum": 0}'))) as policy:
        with pytest.raises(ForbiddenError, match="malformed"):
            await policy.approval_rule(APPROVAL)


@pytest.mark.parametrize("url", ["opa:8181", "ftp://opa", "http://", "http://opa/v1", "http://opa:99999"])
def test_address_that_is_none_is_refused(url: str) -> None:
    """The policy engine is named by scheme, host and port alone."""
    with pytest.raises(InvalidError):
        OpaPolicy(url)
