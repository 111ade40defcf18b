"""A log line is one line of JSON, whatever is logged, and holds no secret."""

import io
import json
import logging
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pytest

from adapters.logs import JsonFormatter, JsonHandler
from adapters.redaction import redact
from domain.base import OrgId
from domain.trace import Trace, bind_org, current_trace


class Colour(StrEnum):
    RED = "red"


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class Lonely(logging.Logger):
    """Outside the tree of loggers, so that no other handler sees what is hostile."""


class Log:
    """A logger of its own whose lines can be read back."""

    def __init__(self) -> None:
        self.stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
        self.logger = Lonely("attack")
        handler = JsonHandler(self.stream)
        handler.setFormatter(JsonFormatter())
        self.logger.addHandler(handler)

    def lines(self) -> list[dict[str, Any]]:
        self.stream.flush()
        raw = self.stream.buffer.getvalue()
        return [json.loads(line) for line in raw.decode("ascii").split("\n")[:-1]]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def trace() -> Iterator[Trace]:
    made = Trace(trace_id="a" * 32, correlation_id="req-1")
    token = current_trace.set(made)
    yield made
    current_trace.reset(token)


@pytest.mark.parametrize(
    "text",
    [
        'x\r\n{"level":"info","event":"forged"}',
        "x\n\n",
        "\x1b[2J\x1b[31mred",
        "\x00\x07\x7f\x85\u2028\u2029",
        "half a character \ud800",
        "\U0001f600 é",
        '"}\n{"',
        "\\n",
        "%s %d",
        "x" * 100_000,
    ],
)
def test_a44_hostile_text_stays_inside_its_line(log: Log, text: str) -> None:
    """In the event, in a field, in a field's name and in a nested value."""
    log.logger.info("%s", text, extra={"field": text, text: 1, "nested": {"list": [text], text: text}})

    [line] = log.lines()
    assert line["event"][:4000] == text[:4000]
    assert line["nested"]["list"][0][:4000] == text[:4000]
    assert all(" " <= letter <= "~" for letter in log.stream.buffer.getvalue().decode().rstrip("\n"))


@pytest.mark.usefixtures("trace")
def test_a_line_says_which_request_it_belongs_to(log: Log) -> None:
    """Trace, correlation id and, once known, the org; extra fields cannot replace them."""
    log.logger.info("before")
    bind_org(OrgId(int=1))
    log.logger.info("after", extra={"org": "forged", "trace_id": "forged", "plan_id": "p"})

    before, after = log.lines()
    assert (before["trace_id"], before["correlation_id"], "org" in before) == ("a" * 32, "req-1", False)
    assert (after["org"], after["trace_id"], after["plan_id"]) == (OrgId(int=1).shown, "a" * 32, "p")


@pytest.mark.parametrize(
    "text",
    [
        "token sut_org_abc_hunter2",
        "password=hunter2",
        "PASSWORD: hunter2",
        '{"password": "hunter2"}',
        "postgresql://suture:hunter2@db/suture",
        "https://user:hunter2@host/path",
        "Authorization: Bearer hunter2",
        "Authorization: Basic hunter2",
        "authorization=hunter2",
        "api_key=hunter2&x=1",
        "whsec_hunter2",
        "eyJhbGciOiJIUzI1NiJ9.hunter2.hunter2",
    ],
)
def test_a_secret_is_hidden(log: Log, text: str) -> None:
    """In the event and in any field."""
    log.logger.info(text, extra={"field": text, "nested": [{"deep": text}]})

    assert "hunter2" not in str(log.lines())


@pytest.mark.parametrize(
    "name", ["password", "db_password", "token", "Authorization", "api_key", "set-cookie", "client_secret"]
)
def test_a_field_named_like_a_secret_is_hidden(log: Log, name: str) -> None:
    """By its name alone, at any depth."""
    log.logger.info("x", extra={name: "hunter2", "nested": {name: {"a": "hunter2"}}})

    assert "hunter2" not in str(log.lines())


def test_harmless_text_is_kept() -> None:
    """Redaction takes no more than the secret."""
    assert (
        redact("GET http://host:80/a?b=c by ann@example.org, 3 tokens")
        == "GET http://host:80/a?b=c by ann@example.org, 3 tokens"
    )
    assert redact("postgresql://suture:x@db/suture") == "postgresql://suture:[redacted]@db/suture"


def test_an_exception_is_logged_by_class_and_place(log: Log) -> None:
    """Its message may hold what was submitted, so it stays out."""
    try:
        {"a": 1}["hunter2"]
    except KeyError:
        log.logger.exception("request failed")

    [line] = log.lines()
    assert (line["error"], "test_an_exception" in line["frames"][-1]) == ("KeyError", True)
    assert "hunter2" not in str(line)


@pytest.mark.parametrize(("message", "arguments"), [("%d", ("x",)), ("%s %s", ("x",)), ("%s", (Unprintable(),))])
def test_a44_a_record_that_cannot_be_written_is_one_fixed_line(log: Log, message: str, arguments: tuple[Any, ...]) -> None:
    """Logging never raises and never logs about itself."""
    log.logger.info(message, *arguments)

    assert log.lines() == [{"level": "error", "event": "a log record could not be written"}]


def test_values_keep_their_kind_and_stay_bounded(log: Log) -> None:
    """Numbers stay numbers, what JSON cannot hold becomes text, long things are cut."""
    recursive: list[Any] = []
    recursive.append(recursive)
    fields = {"a": 1, "b": 1.5, "c": True, "d": None, "e": float("nan"), "f": 2**70, "g": Colour.RED, "h": range(3)}
    log.logger.info("x", extra=fields | {"many": list(range(1000)), "deep": recursive})

    [line] = log.lines()
    assert [line[name] for name in "abcdefgh"] == [1, 1.5, True, None, "nan", str(2**70), "red", "range(0, 3)"]
    assert len(line["many"]) == 50


def test_a_closed_stream_is_survived(log: Log) -> None:
    """When nobody can be told any more, the program goes on."""
    log.stream.close()

    log.logger.info("x")
