"""A stage command that could not be kept to is never built."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.base import ExecutionId
from domain.stage import Effect, StageCommand

COMMAND: dict[str, Any] = {
    "execution": ExecutionId(int=1),
    "stage": "load",
    "argv": ("python", "-m", "stages.load"),
    "effect": Effect.NONE,
    "timeout": timedelta(seconds=60),
    "step_key": "exe_1/load",
    "step_version": "0" * 64,
    "code": "1" * 64,
}


def test_roundtrip() -> None:
    """A command survives its way through a history."""
    command = StageCommand.model_validate(COMMAND | {"config": {"a": [1, None]}, "secrets": ("target_dsn",)})
    assert StageCommand.model_validate_json(command.model_dump_json()) == command


@pytest.mark.parametrize(
    "wrong",
    [
        {"argv": ()},
        {"argv": ("",)},
        {"argv": ("a\x00b",)},
        {"argv": ("a", "\ud800")},
        {"argv": "rm -rf /"},
        {"probe": ()},
        {"effect": Effect.PROBE},
        {"timeout": timedelta()},
        {"timeout": timedelta(days=8)},
        {"step_version": "v1"},
        {"code": "../../etc"},
        {"inputs": {"../up": "0" * 64}},
        {"secrets": ("../../etc/passwd",)},
        {"secrets": (".",)},
        {"secrets": ("twice", "twice")},
        {"memory": 0},
        {"traceparent": "not a trace\n"},
        {"config": {"now": timedelta()}},
        {"shell": True},
    ],
)
def test_refused(wrong: dict[str, Any]) -> None:
    """A command no stage could be started by, or that points outside its folders, is refused."""
    with pytest.raises(ValidationError):
        StageCommand.model_validate(COMMAND | wrong)
