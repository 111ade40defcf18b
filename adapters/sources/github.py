"""GitHub's webhooks: deployments, workflow runs, and whatever else happens in a repository."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from pydantic import JsonValue

from adapters.sources.answering import Answering
from adapters.sources.fitting import Observation, identity
from adapters.sources.progress import progress
from adapters.sources.reading import UnreadableError, at, first, listed, mapping, object_of, read_each, text
from adapters.sources.signing import is_signed
from adapters.sources.times import instant
from domain.inbound import Inbound, Parsed
from domain.signal import Signal, SignalKind


class GitHub(Answering):
    """A delivery is known by `X-GitHub-Delivery`, equal when it is sent again by hand."""

    kind = "github"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        scheme, _, signature = inbound.headers.get("x-hub-signature-256", "").partition("=")
        return scheme == "sha256" and is_signed(inbound.body, signature, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_each(lambda: [object_of(_json(inbound))], lambda body: self._signal(body, inbound))

    def _signal(self, body: dict[str, Any], inbound: Inbound) -> Signal | None:
        event = text(inbound.headers.get("x-github-event")) or _event(body)
        match event:
            case "ping":
                return None
            case "deployment" | "deployment_status":
                return self._deployment(body, inbound)
            case "workflow_run" | "workflow_job":
                return self._run(event, body, inbound)
        return self._other(event, body, inbound)

    def _deployment(self, body: dict[str, Any], inbound: Inbound) -> Signal:
        deployment, status = mapping(body.get("deployment")), mapping(body.get("deployment_status"))
        state = text(status.get("state")) or "pending"
        reached = progress(state)
        return Observation(
            **self._common(body, inbound),
            kind=SignalKind.DEPLOY,
            ts=instant(first(status.get("updated_at"), status.get("created_at"), deployment.get("created_at")))
            or inbound.arrived,
            key=f"{_repository(body)}/deployments/{text(deployment.get('id')) or ''}",
            event_type=f"deploy.{reached}",
            severity=reached.severity,
            text=first(status.get("description"), deployment.get("description")),
            environment=first(status.get("environment"), deployment.get("environment")),
            labels={
                **_labels(body),
                "state": state,
                **{name: text(deployment.get(name)) for name in ("ref", "sha", "task")},
                "production": at(deployment, "production_environment"),
            },
            payload={name: status.get(name) for name in ("target_url", "log_url", "environment_url")},
        ).signal()

    def _run(self, event: str, body: dict[str, Any], inbound: Inbound) -> Signal:
        run = mapping(body.get(event))
        state = first(run.get("conclusion"), run.get("status"), body.get("action")) or "unknown"
        reached = progress(state)
        return Observation(
            **self._common(body, inbound),
            kind=SignalKind.EXECUTION,
            ts=instant(first(run.get("completed_at"), run.get("updated_at"), run.get("created_at"))) or inbound.arrived,
            key=f"{_repository(body)}/{event}s/{text(run.get('id')) or ''}",
            event_type=f"run.{reached}",
            severity=reached.severity,
            text=first(run.get("display_title"), run.get("name")),
            labels={
                **_labels(body),
                "state": state,
                "workflow": first(run.get("workflow_name"), run.get("name")),
                "attempt": run.get("run_attempt"),
                **{name: text(run.get(name)) for name in ("head_branch", "head_sha", "event")},
            },
            payload={
                "html_url": run.get("html_url"),
                "failed_steps": [step.get("name") for step in listed(run.get("steps")) if at(step, "conclusion") == "failure"],
            },
        ).signal()

    def _other(self, event: str, body: dict[str, Any], inbound: Inbound) -> Signal:
        action = text(body.get("action"))
        return Observation(
            **self._common(body, inbound),
            kind=SignalKind.EVENT,
            ts=instant(at(body, "head_commit", "timestamp")) or inbound.arrived,
            key=_repository(body),
            event_type=f"github.{event}.{action}" if action else f"github.{event}",
            severity="info",
            text=first(at(body, "head_commit", "message"), at(body, "release", "name"), at(body, "pull_request", "title")),
            environment=text(body.get("environment")),
            labels={**_labels(body), "ref": text(body.get("ref")), "sha": text(body.get("after"))},
            payload={"deployment_callback_url": body.get("deployment_callback_url")},
        ).signal()

    def _common(self, body: dict[str, Any], inbound: Inbound) -> dict[str, Any]:
        delivery = text(inbound.headers.get("x-github-delivery"))
        return {
            "source": self.kind,
            "identity": identity(self.kind, delivery or body),
            "service": text(at(body, "repository", "name")),
        }


def _json(inbound: Inbound) -> bytes:
    """The body, or its field `payload`: GitHub sends a form unless it is told otherwise."""
    if not inbound.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        return inbound.body
    try:
        return parse_qs(inbound.body.decode("ascii"), max_num_fields=8)["payload"][0].encode()
    except (ValueError, KeyError):
        raise UnreadableError("expected a form with the field payload") from None


def _event(body: dict[str, Any]) -> str:
    """What happened, if no header says so."""
    names = ("deployment_status", "deployment", "workflow_run", "workflow_job", "zen")
    return {"zen": "ping"}.get(found := next((name for name in names if name in body), "event"), found)


def _repository(body: dict[str, Any]) -> str:
    return text(at(body, "repository", "full_name")) or ""


def _labels(body: dict[str, Any]) -> dict[str, object]:
    return {"repository": _repository(body), "actor": text(at(body, "sender", "login"))}
