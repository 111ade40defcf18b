"""OpenLineage: the runs of Airflow, Spark, dbt, Dagster and Flink, each with its state, its error and its parent."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from adapters.sources.answering import Unyielding
from adapters.sources.fitting import Observation, identity, moment
from adapters.sources.progress import Progress, progress
from adapters.sources.reading import at, expected_object, first, json_of, mapping, read_each, text
from adapters.sources.signing import is_bearer
from adapters.sources.times import instant
from domain.inbound import Inbound, Parsed
from domain.signal import Signal, SignalKind

_ENDS_BADLY = frozenset({Progress.FAILED, Progress.ABORTED})
_BROKEN = frozenset(f"run.{each}" for each in _ENDS_BADLY)


class OpenLineage(Unyielding):
    """A run's event is known by run, type and time; its key is the run, its service the job at the root of the run's tree."""

    kind = "openlineage"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_each(lambda: _events(inbound.body), lambda event: self._signal(expected_object(event), inbound))

    def error_of(self, signal: Signal) -> Mapping[str, JsonValue] | None:
        """Of a run that failed or was aborted: the stack trace of its error."""
        if signal.event_type not in _BROKEN:
            return None
        return {"exception.stacktrace": signal.payload.get("stack_trace")}

    def _signal(self, event: dict[str, Any], inbound: Inbound) -> Signal:
        sent = instant(event.get("eventTime"))
        run = text(at(event, "run", "runId"))
        if run is None:
            return self._still(event, inbound)
        state = (text(event.get("eventType")) or "OTHER").upper()
        facets, reached = mapping(at(event, "run", "facets")), progress(state)
        error, parent = mapping(facets.get("errorMessage")), mapping(facets.get("parent"))
        job = text(at(event, "job", "name"))
        return Observation(
            source=self.kind,
            kind=SignalKind.EXECUTION,
            ts=sent or inbound.arrived,
            identity=identity(self.kind, run, state, moment(sent, inbound.arrived)),
            key=run,
            event_type=f"run.{reached}",
            severity=reached.severity,
            text=first(error.get("message"), f"{job or 'a run'} {reached}" if reached in _ENDS_BADLY else None),
            service=first(at(parent, "root", "job", "name"), at(parent, "job", "name"), job),
            correlation_id=first(at(parent, "root", "run", "runId"), at(parent, "run", "runId"), run),
            labels={
                "state": state,
                "job_namespace": text(at(event, "job", "namespace")),
                "job_name": job,
                "job_type": text(at(event, "job", "facets", "jobType", "jobType")),
                "parent_job": text(at(parent, "job", "name")),
                "parent_run": text(at(parent, "run", "runId")),
                "engine": text(at(facets, "processing_engine", "name")),
                "language": text(error.get("programmingLanguage")),
            },
            payload={
                "producer": event.get("producer"),
                "stack_trace": error.get("stackTrace"),
                "nominal_time": facets.get("nominalTime"),
                "inputs": _datasets(event.get("inputs")),
                "outputs": _datasets(event.get("outputs")),
            },
        ).signal()

    def _still(self, event: dict[str, Any], inbound: Inbound) -> Signal:
        """What describes a job or a dataset while nothing runs."""
        subject = "dataset" if "dataset" in event else "job"
        sent, described = instant(event.get("eventTime")), mapping(event.get(subject))
        return Observation(
            source=self.kind,
            kind=SignalKind.EVENT,
            ts=sent or inbound.arrived,
            identity=identity(self.kind, event, moment(sent, inbound.arrived)),
            key="/".join(part for part in (text(described.get("namespace")), text(described.get("name"))) if part),
            event_type=f"lineage.{subject}",
            severity="info",
            payload={"inputs": _datasets(event.get("inputs")), "outputs": _datasets(event.get("outputs"))},
        ).signal()


def _events(body: bytes) -> list[Any]:
    """One event, or a list of them."""
    content = json_of(body)
    return content if isinstance(content, list) else [content]


def _datasets(sets: object) -> list[str] | None:
    named = [first(at(each, "name")) for each in sets[:100]] if isinstance(sets, list) else []
    return [name for name in named if name] or None
