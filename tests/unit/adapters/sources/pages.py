"""The pages of `docs/connect`, one for each kind of connector, made of its fixtures: `page.md` is the prose of one.

Run as a program it writes them anew: `python -m tests.unit.adapters.sources.pages`.
"""

import hmac
import json
import re
from typing import Any

from domain.inbound import Taken
from domain.signal import Signal
from services.delivery import FIRING
from tests.engine import ROOT
from tests.unit.adapters.sources.requests import FIXTURES, SECRET, Case, case

PAGES = ROOT / "docs" / "connect"
EXAMPLES = {
    "alertmanager": case("alertmanager/firing"),
    "cloudevents": case("cloudevents/structured"),
    "datadog": case("datadog/triggered"),
    "generic": case("generic/check"),
    "github": case("github/deployment_failed"),
    "gitlab": case("gitlab/pipeline_failed"),
    "grafana": case("grafana/firing"),
    "openlineage": case("openlineage/fail"),
    "otlp": case("otlp_logs/error"),
    "pagerduty_events": case("pagerduty_events/trigger"),
    "pagerduty_webhooks": case("pagerduty_webhooks/triggered"),
    "sentry": case("sentry/event_alert"),
}
"""Of each kind of connector the request that its page shows, and that a test posts."""

FEEDS = ("postgres",)
"""The kinds that we listen to: nobody sends a request, and a test of its own follows their pages."""
FEED_TEXTS = FIXTURES.parent / "feeds"

_DOORS = {"otlp_logs": "otlp/ENDPOINT/v1/logs", "pagerduty_events": "pagerduty/v2/enqueue"}
SHOWN = ("kind", "event_type", "severity", "service", "environment", "text", "occurred_at")
"""What a page shows of an event."""

_UNSHOWN = frozenset({"user-agent", "x-github-hook-id", "x-gitlab-webhook-uuid", "x-webhook-subscription", "request-id"})
_INDEX = """# Connect what you already run

Each page has what to copy, a request to try it with, and what becomes of it. A connector has an address and a secret of its
own; its config says where signals belong that do not say it themselves, and whether they open incidents.
`GET /api/v1/connectors/{id}/deliveries` shows what came of each request, and that a sender did not know the secret. Every
request on a page is one that the tests send.

The pages take two things from your shell. `suture up` prints both, the address with an `/api/v1` that is left out here:
```sh
export SUTURE_API_URL=http://127.0.0.1:8080
export SUTURE_TOKEN="$(cat DATA/admin.token)"
```
suture listens on this machine alone. For senders elsewhere set `SUTURE_API_HOST`, behind something that speaks TLS.

## What becomes of an incident
- Its severity is that of its environment, and the severity of what opened it stands in the event. What names an environment
  that is not there opens its incident in the connector's.
- An alert, a check, or a row of a followed table ends its incident a minute after it was told to be over. An error of a log, a
  span or a run has nobody who tells that: `PATCH /api/v1/incidents/{id}` with `{"status": "resolved"}` ends it. The same error
  afterwards opens another one.
- In `GET /api/v1/incidents/{id}/timeline` what opened it names its `signal`, which `GET /api/v1/events/{id}` shows as it came.

"""


def page(kind: str) -> str:
    """What a person reads who wants to connect a sender of this kind."""
    example = EXAMPLES[kind]
    prose = (FIXTURES / example.kind / "page.md").read_text()
    parts = {"connector": _connector(kind, example), "example": _example(example), "overload": _overload(example)}
    return re.sub(r"{{(\w+)}}", lambda place: parts[place[1]], prose)


def feed_page(kind: str) -> str:
    """What a person reads who has suture follow a database; its words are those of `FEED_TEXTS`."""
    parts = json.loads((FEED_TEXTS / f"{kind}.json").read_text())
    config = parts["connector"]["config"]
    config = config | {"feed": config["feed"] | {"verdicts": parts["verdicts"]}}
    said = parts | {"connector": json.dumps(parts["connector"], indent=2), "opened": sentence(*parts["opened"])}
    said |= {"config": json.dumps({"config": config}, indent=2)}
    return re.sub(r"{{(\w+)}}", lambda place: said[place[1]], (FEED_TEXTS / f"{kind}.md").read_text())


def index() -> str:
    """All pages by their titles."""
    texts = {kind: page(kind) for kind in EXAMPLES} | {kind: feed_page(kind) for kind in FEEDS}
    titles = {kind: text.partition("\n")[0].removeprefix("# ") for kind, text in texts.items()}
    return _INDEX + "".join(f"- [{title}]({kind}.md)\n" for kind, title in sorted(titles.items(), key=lambda each: each[1]))


def _connector(kind: str, example: Case) -> str:
    config = {"environment": "prod", "opens_incidents": True}
    mapping = example.index.get("config", {})
    wanted = {"kind": kind, "name": kind.replace("_", " "), "config": config | ({"mapping": mapping} if mapping else {})}
    return f"""## Make a connector
```sh
curl -sS "$SUTURE_API_URL/api/v1/connectors" -H "Authorization: Bearer $SUTURE_TOKEN" -H "Content-Type: application/json" \\
  -d '{json.dumps(wanted, indent=2 if mapping else None)}'
```
The answer shows the connector's `endpoint` and, this once, its `secret`. Below, put both in place of `ENDPOINT` and `SECRET`,
and the address of suture in place of `SUTURE`."""


def _example(example: Case) -> str:
    parsed = example.parse()
    taken = Taken(stored=len(parsed.signals), refused=len(parsed.refused))
    reply = example.source.reply(example.inbound(), taken)
    signals = [_event(signal) for signal in parsed.signals]
    return f"""## Try it
```sh
{_request(example)}
```
The answer is {reply.status}, `{reply.body.decode()}`, and of what comes of it `GET /api/v1/events` shows this and more:
```json
{json.dumps(signals[0] if len(signals) == 1 else signals, indent=2, ensure_ascii=False)}
```
{_opened(example, parsed.signals)}"""


def _event(signal: Signal) -> dict[str, Any]:
    """As the connector of the page completes it."""
    said = signal.model_dump(mode="json")
    found = said | {"environment": signal.environment or "prod", "occurred_at": said["ts"]}
    return {name: found[name] for name in SHOWN if found[name] is not None}


def sentence(service: str, title: str) -> str:
    """What a page says of an incident."""
    return f"It opens an incident of `{service}`: *{title}*."


def _opened(example: Case, signals: tuple[Signal, ...]) -> str:
    opening = [
        each for each in signals if (each.event_type or "").endswith(FIRING) or example.source.error_of(each) is not None
    ]
    name = (example.source.belongs_to or example.kind).replace("_", " ")
    return "\n".join(sentence(each.service or name, each.headline) for each in opening) or "It opens no incident."


def _request(example: Case) -> str:
    body, signed = example.body.decode().rstrip("\n"), _signature(example.body)
    headers = {name: value for name, value in example.index["headers"].items() if name not in _UNSHOWN}
    said = {name: value.replace(SECRET, "SECRET").replace(signed, "$SIGNED") for name, value in headers.items()}
    lines = ["cat > body.json <<'END'", body.replace(SECRET, "ENDPOINT_SECRET"), "END"]
    if said != {name: value.replace(SECRET, "SECRET") for name, value in headers.items()}:
        lines.append("SIGNED=$(openssl dgst -sha256 -hmac 'SECRET' < body.json | sed 's/.* //')")
    door = _DOORS.get(example.kind, f"{example.kind}/ENDPOINT")
    sent = "".join(f' \\\n  -H "{name}: {value}"' for name, value in said.items())
    return "\n".join([*lines, f'curl -sS "$SUTURE_API_URL/api/v1/ingest/{door}"{sent} \\\n  --data-binary @body.json'])


def _signature(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, "sha256").hexdigest()


def _overload(example: Case) -> str:
    if example.source.gives_up_on_429:
        return "suture answers 503 with `Retry-After`, and never 429, which this sender would not repeat."
    return "suture answers 429 or 503 with `Retry-After`."


if __name__ == "__main__":
    for each in EXAMPLES:
        (PAGES / f"{each}.md").write_text(page(each))
    for each in FEEDS:
        (PAGES / f"{each}.md").write_text(feed_page(each))
    (PAGES / "README.md").write_text(index())
