"""The words that senders have for where a run or a deployment stands."""

from enum import StrEnum
from typing import assert_never


class Progress(StrEnum):
    """The second half of `run.…` and `deploy.…`."""

    WAITING = "waiting"
    STARTED = "started"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    OTHER = "other"

    @property
    def severity(self) -> str:
        match self:
            case Progress.FAILED:
                return "error"
            case Progress.ABORTED:
                return "warning"
            case Progress.WAITING | Progress.STARTED | Progress.RUNNING | Progress.SUCCEEDED | Progress.OTHER:
                return "info"
        assert_never(self)


_WORDS = {
    Progress.WAITING: ("pending", "queued", "waiting", "requested", "created", "preparing", "scheduled", "manual", "blocked"),
    Progress.STARTED: ("start", "started"),
    Progress.RUNNING: ("running", "in_progress"),
    Progress.SUCCEEDED: ("success", "complete", "completed", "succeeded", "passed", "neutral"),
    Progress.FAILED: ("failure", "failed", "fail", "error", "timed_out", "startup_failure"),
    Progress.ABORTED: ("abort", "aborted", "canceled", "cancelled", "canceling"),
}
_PROGRESS = {word: progress for progress, words in _WORDS.items() for word in words}


def progress(word: str) -> Progress:
    return _PROGRESS.get(word.lower(), Progress.OTHER)
