"""How each sender hears that there is no room: in the way after which it comes again."""

import pytest

from adapters.sources import SOURCES
from domain.identity import Quota
from tests.api.doors import REQUESTS, an_endpoint, post
from tests.api.site import Person, Site
from tests.database import Tenant

ANSWERS = {
    "alertmanager": 503,
    "alertmanager_api": 503,
    "cloudevents": 429,
    "datadog": 503,
    "generic": 429,
    "github": 429,
    "gitlab": 429,
    "grafana": 503,
    "openlineage": 503,
    "otlp_logs": 429,
    "otlp_metrics": 429,
    "otlp_traces": 429,
    "pagerduty_events": 429,
    "pagerduty_webhooks": 429,
    "sentry": 429,
}
"""503 for whoever sends again after a 5xx alone."""


def test_the_table_has_every_kind() -> None:
    """A kind that is added has to be looked up."""
    assert set(ANSWERS) == set(REQUESTS) == {source.kind for source in SOURCES}


@pytest.mark.parametrize(("kind", "status"), ANSWERS.items())
async def test_a_sender_without_room_is_told_to_come_again(
    site: Site, someone: Person, tenant: Tenant, kind: str, status: int
) -> None:
    """With the status that its protocol repeats, and when."""
    given = REQUESTS[kind]
    endpoint = await an_endpoint(someone, given)
    await site.services.switches.put_quota(tenant.admin, Quota(name="signals", per_minute=0))

    answer = await post(site, given, endpoint)

    assert (answer.status_code, answer.headers.get("retry-after")) == (status, "1")


async def test_our_own_api_says_429(site: Site, someone: Person, tenant: Tenant) -> None:
    """With when to come again."""
    await site.services.switches.put_quota(tenant.admin, Quota(name="signals", per_minute=0))

    answer = await someone.post("/signals/ingest", [{"kind": "log", "text": "slow"}])

    assert (answer.status_code, answer.headers.get("retry-after")) == (429, "1")
