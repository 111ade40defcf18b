"""The words that senders have for where a run or a deployment stands."""

from enum import StrEnum
from typing import assert_never


class Stage(StrEnum):
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
            case Stage.FAILED:
                return "error"
            case Stage.ABORTED:
                return "warning"
            case Stage.WAITING | Stage.STARTED | Stage.RUNNING | Stage.SUCCEEDED | Stage.OTHER:
                return "info"
        assert_never(self)


_WORDS = {
    Stage.WAITING: ("pending", "queued", "waiting", "requested", "created", "preparing", "scheduled", "manual", "blocked"),
    Stage.STARTED: ("start", "started"),
    Stage.RUNNING: ("running", "in_progress"),
    Stage.SUCCEEDED: ("success", "complete", "completed", "succeeded", "passed", "neutral"),
    Stage.FAILED: ("failure", "failed", "fail", "error", "timed_out", "startup_failure"),
    Stage.ABORTED: ("abort", "aborted", "canceled", "cancelled", "canceling"),
}
_STAGE = {word: stage for stage, words in _WORDS.items() for word in words}


def stage(word: str) -> Stage:
    return _STAGE.get(word.lower(), Stage.OTHER)
