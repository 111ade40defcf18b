"""The words that senders have for the same: severities, and the labels that name a service and an environment."""

from collections.abc import Mapping

_SEVERITIES = {
    "critical": ("critical", "crit", "fatal", "emergency", "emerg", "alert", "page", "panic", "disaster", "p1", "sev1", "sev0"),
    "error": ("error", "err", "major", "high", "severe", "failure", "failed", "p2", "sev2"),
    "warning": ("warning", "warn", "minor", "medium", "moderate", "average", "ticket", "p3", "sev3"),
    "info": ("info", "information", "informational", "notice", "debug", "trace", "none", "ok", "success", "low", "p4", "p5"),
}
_SEVERITY = {word: severity for severity, words in _SEVERITIES.items() for word in words}
_SERVICE = ("service", "service.name", "service_name", "job", "app", "deployment")
_ENVIRONMENT = (
    "env",
    "environment",
    "deployment.environment",
    "deployment.environment.name",
    "deployment_environment",
    "deployment_environment_name",
)


def severity(word: object) -> str | None:
    """One of critical, error, warning and info, or None if nobody knows the word."""
    return _SEVERITY.get(word.strip().lower()) if isinstance(word, str) else None


def service_of(labels: Mapping[str, object]) -> str | None:
    return _named(labels, _SERVICE)


def environment_of(labels: Mapping[str, object]) -> str | None:
    return _named(labels, _ENVIRONMENT)


def _named(labels: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    found = (labels.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value.strip()), None)
