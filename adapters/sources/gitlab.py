"""GitLab's webhooks: deployments, pipelines, jobs, and whatever else happens in a project."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from adapters.sources.answering import Answering
from adapters.sources.fitting import Observation, identity
from adapters.sources.progress import Progress, progress
from adapters.sources.reading import at, first, listed, mapping, number, object_of, read_each, text
from adapters.sources.signing import is_same
from adapters.sources.times import instant
from domain.inbound import Inbound, Parsed
from domain.signal import Signal, SignalKind


class GitLab(Answering):
    """A delivery is known by `Idempotency-Key`, equal when it is sent again.

    Older ones have `X-Gitlab-Event-UUID` alone, which events that cause one another share: there the content counts too.
    """

    kind = "gitlab"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_same(inbound.headers.get("x-gitlab-token", ""), secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_each(lambda: [object_of(inbound.body)], lambda body: self._signal(body, inbound))

    def _signal(self, body: dict[str, Any], inbound: Inbound) -> Signal:
        match text(body.get("object_kind")):
            case "deployment":
                return self._deployment(body, inbound)
            case "pipeline":
                return self._pipeline(body, inbound)
            case "build":
                return self._job(body, inbound)
        return self._other(body, inbound)

    def _deployment(self, body: dict[str, Any], inbound: Inbound) -> Signal:
        state = text(body.get("status")) or "unknown"
        reached = progress(state)
        return Observation(
            **self._common(body, inbound),
            kind=SignalKind.DEPLOY,
            ts=instant(body.get("status_changed_at")) or inbound.arrived,
            key=f"{_project(body)}/deployments/{first(body.get('deployment_id'), body.get('deployable_id')) or ''}",
            event_type=f"deploy.{reached}",
            severity=reached.severity,
            text=text(body.get("commit_title")),
            environment=text(body.get("environment")),
            labels={
                **_labels(body),
                "state": state,
                "tier": text(body.get("environment_tier")),
                "sha": text(body.get("short_sha")),
                "ref": text(body.get("ref")),
            },
            payload={name: body.get(name) for name in ("commit_url", "deployable_url", "environment_external_url")},
        ).signal()

    def _pipeline(self, body: dict[str, Any], inbound: Inbound) -> Signal:
        run, commit = mapping(body.get("object_attributes")), mapping(body.get("commit"))
        failed = [text(job.get("name")) for job in map(mapping, listed(body.get("builds"))) if job.get("status") == "failed"]
        return self._run(
            body,
            inbound,
            state=text(run.get("status")),
            key=f"{_project(body)}/pipelines/{text(run.get('id')) or ''}",
            times=(run.get("finished_at"), run.get("created_at")),
            duration=number(run.get("duration")),
            said=text(commit.get("title")),
            labels={"ref": text(run.get("ref")), "sha": text(run.get("sha")), "trigger": text(run.get("source"))},
            payload={"url": first(run.get("url")), "failed_jobs": failed},
        )

    def _job(self, body: dict[str, Any], inbound: Inbound) -> Signal:
        return self._run(
            body,
            inbound,
            state=text(body.get("build_status")),
            key=f"{_project(body)}/jobs/{text(body.get('build_id')) or ''}",
            times=(body.get("build_finished_at"), body.get("build_started_at"), body.get("build_created_at")),
            duration=number(body.get("build_duration")),
            said=first(body.get("build_failure_reason"), body.get("build_name")),
            labels={
                "job_name": text(body.get("build_name")),
                "stage": text(body.get("build_stage")),
                "ref": text(body.get("ref")),
                "sha": text(body.get("sha")),
                "environment": text(at(body, "environment", "name")),
            },
            payload={"pipeline_id": body.get("pipeline_id")},
        )

    def _run(
        self,
        body: dict[str, Any],
        inbound: Inbound,
        *,
        state: str | None,
        key: str,
        times: tuple[object, ...],
        duration: float | None,
        said: str | None,
        labels: Mapping[str, object],
        payload: Mapping[str, object],
    ) -> Signal:
        """An execution; its value is how many seconds it took."""
        reached = progress(state) if state else Progress.OTHER
        return Observation(
            **self._common(body, inbound),
            kind=SignalKind.EXECUTION,
            ts=next((when for when in map(instant, times) if when), inbound.arrived),
            key=key,
            event_type=f"run.{reached}",
            severity=reached.severity,
            value=duration,
            text=said,
            labels={**_labels(body), **labels, "state": state},
            payload=payload,
        ).signal()

    def _other(self, body: dict[str, Any], inbound: Inbound) -> Signal:
        event = first(body.get("object_kind"), body.get("event_name"), inbound.headers.get("x-gitlab-event")) or "event"
        return Observation(
            **self._common(body, inbound),
            kind=SignalKind.EVENT,
            ts=instant(first(at(body, "object_attributes", "updated_at"), body.get("created_at"))) or inbound.arrived,
            key=_project(body),
            event_type=f"gitlab.{event}",
            severity="info",
            text=first(at(body, "object_attributes", "title"), _last_commit(body), body.get("name")),
            labels={**_labels(body), "ref": text(body.get("ref")), "sha": text(body.get("checkout_sha"))},
        ).signal()

    def _common(self, body: dict[str, Any], inbound: Inbound) -> dict[str, Any]:
        sent, event = inbound.headers.get("idempotency-key"), inbound.headers.get("x-gitlab-event-uuid")
        return {
            "source": self.kind,
            "identity": identity(self.kind, sent) if sent else identity(self.kind, event, body),
            "service": first(at(body, "project", "name"), at(body, "repository", "name"), body.get("project_name")),
        }


def _project(body: dict[str, Any]) -> str:
    return first(at(body, "project", "path_with_namespace"), body.get("project_name"), body.get("project_id")) or ""


def _last_commit(body: dict[str, Any]) -> str | None:
    """The title of the newest commit of a push, which stands last."""
    commits = listed(body.get("commits"))
    return first(at(commits[-1], "title"), at(commits[-1], "message")) if commits else None


def _labels(body: dict[str, Any]) -> dict[str, object]:
    return {"project": _project(body), "actor": first(at(body, "user", "username"), body.get("user_username"))}
