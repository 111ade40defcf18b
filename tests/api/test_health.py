"""Liveness, readiness and metrics: open to all, and silent about the inside."""

import pytest

from api.routes.fix import visible
from tests.api.operations import UNKNOWN
from tests.api.site import Person, Site


@pytest.mark.parametrize("prefix", ["", "/api/v1", "/v1", "/api"])
async def test_liveness_and_readiness_answer_without_a_token(site: Site, prefix: str) -> None:
    """Under every prefix and none."""
    assert (await site.client.get(f"{prefix}/healthz")).json() == {"status": "ok"}
    assert (await site.client.get(f"{prefix}/readyz")).json()["ready"] is True


async def test_a_part_that_is_away_makes_it_unready(site: Site, someone: Person) -> None:
    """503 names the part; why is for those with a token."""
    site.engine.is_up = False
    try:
        ready, health = await site.client.get("/readyz"), await someone.get("/health")
    finally:
        site.engine.is_up = True

    assert (ready.status_code, health.status_code) == (503, 503)
    assert {"name": "engine", "ok": False} in ready.json()["parts"]
    assert "10.1.2.3" not in ready.text
    assert "refused" in health.text


async def test_metrics_count_by_route_and_never_by_path(site: Site, someone: Person) -> None:
    """Templates as labels, so nobody outside chooses how many there are."""
    await someone.get(f"/incidents/{UNKNOWN['incident_id']}")
    await someone.client.get("/no/such/path/hunter2")
    text = (await site.client.get("/metrics")).text

    assert 'suture_http_requests_total{method="GET",route="/incidents/{incident_id}",status="404"}' in text
    assert 'route="unmatched"' in text
    assert "suture_http_request_seconds_bucket" in text
    assert "hunter2" not in text
    assert UNKNOWN["incident_id"] not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("a\u202eb", "a\\u{202e}b"),
        ("a\u200bb", "a\\u{200b}b"),
        ("\x1b[31mred", "\\u{1b}[31mred"),
        ("a\nb", "a\\u{a}b"),
        ("\u00e9\u4e2d", "\u00e9\u4e2d"),
    ],
)
def test_a30_what_cannot_be_seen_is_shown_escaped(text: str, shown: str) -> None:
    """No reader of a plan sees less than the runner."""
    assert visible(text) == shown
