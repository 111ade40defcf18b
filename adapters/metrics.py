"""What Prometheus reads of a worker process: how its activities end, what preflight says, how remediations end, what waits."""

from collections.abc import Callable, Iterable
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from domain.outcome import RemediationOutcome
from domain.policy import Tier

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800)


class PrometheusMetrics:
    """Counts of this process since it started; labels are words of ours or of an admin, so their number is bounded."""

    def __init__(self, environments: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        self._activities = Histogram(
            "suture_activity_seconds",
            "time from an activity's start to its end",
            ("activity", "outcome"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._preflights = Counter("suture_preflights", "preflights judged", ("tier", "passed"), registry=self.registry)
        self._remediations = Counter("suture_remediations", "remediations ended", ("outcome",), registry=self.registry)
        self._unserved = Counter(
            "suture_unserved", "times that no worker had taken work up", ("environment",), registry=self.registry
        )
        self._depth = Gauge("suture_outbox_depth", "letters not yet delivered", registry=self.registry)
        self._oldest = Gauge("suture_outbox_oldest_seconds", "age of the oldest undelivered letter", registry=self.registry)
        self._known(environments)

    def activity_ended(self, activity: str, outcome: str, seconds: float) -> None:
        self._activities.labels(activity, outcome).observe(seconds)

    def preflight_judged(self, tier: Tier, *, passed: bool) -> None:
        self._preflights.labels(tier, str(passed).lower()).inc()

    def remediation_ended(self, outcome: RemediationOutcome) -> None:
        self._remediations.labels(outcome).inc()

    def unserved(self, environment: str) -> None:
        self._unserved.labels(environment).inc()

    def outbox_seen(self, depth: int, oldest: timedelta) -> None:
        self._depth.set(depth)
        self._oldest.set(oldest.total_seconds())

    def serve(self, port: int, *, host: str = "127.0.0.1") -> Callable[[], None]:
        """Answer Prometheus on `port` of `host` until what is returned is called."""
        server, thread = start_http_server(port, addr=host, registry=self.registry)

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return close

    def _known(self, environments: Iterable[str]) -> None:
        """Every series starts at nought, so that a rate sees the first of its kind."""
        for environment in environments:
            self._unserved.labels(environment)
        for outcome in RemediationOutcome:
            self._remediations.labels(outcome)
        for tier in Tier:
            for passed in ("true", "false"):
                self._preflights.labels(tier, passed)
