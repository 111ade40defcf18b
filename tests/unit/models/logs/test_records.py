"""What a log line or text says."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.logs.levels import Level
from models.logs.records import LONGEST_MESSAGE, Record, of_fields, read
from models.logs.traces.contract import Frame, Thrown

JAVA = """\
com.acme.Failed: boom
\tat com.acme.Foo.bar(Foo.java:12)
Caused by: java.io.IOException: gone
\tat com.acme.Io.read(Io.java:3)"""
IO = (Thrown(type="java.io.IOException", message="gone"), Thrown(type="com.acme.Failed", message="boom"))
READ = Frame(function="com.acme.Io.read", file="Io.java", line=3)
PYTHON = 'Traceback (most recent call last):\n  File "/app/x.py", line 1, in f\n    g()\nValueError: boom'
F = Frame(function="f", file="/app/x.py", line=1)
BOOM = (Thrown(type="ValueError", message="boom"),)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"@timestamp": "t", "log.level": "ERROR", "message": "failed",
             "error": {"type": "com.acme.Failed", "message": "boom", "stack_trace": JAVA, "code": "E7"}},
            Record(message="failed", level=Level.ERROR, errors=IO, code="E7", frames=(READ, Frame(
                function="com.acme.Foo.bar", file="Foo.java", line=12)), frame=READ),
            id="ecs",
        ),
        pytest.param(
            {"severityText": "ERROR", "body": {"stringValue": "failed"},
             "attributes": {"exception.type": "ValueError", "exception.message": "boom", "exception.stacktrace": PYTHON}},
            Record(message="failed", level=Level.ERROR, errors=BOOM, frames=(F,), frame=F),
            id="otel",
        ),
        pytest.param(
            {"level": "warning", "msg": "failed", "time": "t", "error": "dial tcp: refused"},
            Record(message="failed", level=Level.WARNING, errors=(Thrown(type="", message="dial tcp: refused"),)),
            id="logrus",
        ),
        pytest.param(
            {"level": "error", "ts": 1.5, "caller": "db/store.go:12", "msg": "failed", "error": "boom",
             "stacktrace": "main.load\n\t/src/load.go:9\nmain.main\n\t/src/main.go:6"},
            Record(message="failed", level=Level.ERROR, errors=(Thrown(type="", message="boom"),), frames=(
                Frame(function="main.load", file="/src/load.go", line=9),
                Frame(function="main.main", file="/src/main.go", line=6)),
                frame=Frame(function="main.load", file="/src/load.go", line=9)),
            id="zap",
        ),
        pytest.param(
            {"level": 50, "time": 1, "msg": "failed", "err": {"name": "TypeError", "message": "boom", "code": "ECONNRESET",
             "stack": "TypeError: boom\n    at f (/app/x.js:1:2)"}},
            Record(message="failed", level=Level.ERROR, errors=(Thrown(type="TypeError", message="boom"),), code="ECONNRESET",
                   frames=(Frame(function="f", file="/app/x.js", line=1),),
                   frame=Frame(function="f", file="/app/x.js", line=1)),
            id="pino",
        ),
        pytest.param(
            {"levelno": 40, "message": "failed", "exc_info": PYTHON},
            Record(message="failed", level=Level.ERROR, errors=BOOM, frames=(F,), frame=F),
            id="python",
        ),
        pytest.param(
            {"event": "failed", "level": "critical", "exception": [{"exc_type": "ValueError", "exc_value": "boom", "frames": [
                {"filename": "/app/y.py", "lineno": 2, "name": "main"}, {"filename": "/app/x.py", "lineno": 1, "name": "f"}]}]},
            Record(message="failed", level=Level.CRITICAL, errors=BOOM,
                   frames=(F, Frame(function="main", file="/app/y.py", line=2)), frame=F),
            id="structlog",
        ),
        pytest.param(
            {"level": "ERROR", "message": "failed", "thrown": {"name": "com.acme.Failed", "message": "boom",
             "extendedStackTrace": [{"class": "com.acme.Foo", "method": "bar", "file": "Foo.java", "line": 12}]}},
            Record(message="failed", level=Level.ERROR, errors=(Thrown(type="com.acme.Failed", message="boom"),),
                   frames=(Frame(function="com.acme.Foo.bar", file="Foo.java", line=12),),
                   frame=Frame(function="com.acme.Foo.bar", file="Foo.java", line=12)),
            id="log4j",
        ),
        pytest.param(
            {"@l": "Error", "@mt": "failed", "@x": "System.Exception: boom\n   at A.B.C() in /src/A.cs:line 5"},
            Record(message="failed", level=Level.ERROR, errors=(Thrown(type="System.Exception", message="boom"),),
                   frames=(Frame(function="A.B.C", file="/src/A.cs", line=5),),
                   frame=Frame(function="A.B.C", file="/src/A.cs", line=5)),
            id="serilog",
        ),
        pytest.param(
            {"errorType": "Error", "errorMessage": "boom", "trace": ["Error: boom", "    at run (/var/task/x.js:3:9)"]},
            Record(message="Error: boom", level=Level.ERROR, errors=(Thrown(type="Error", message="boom"),),
                   frames=(Frame(function="run", file="/var/task/x.js", line=3),),
                   frame=Frame(function="run", file="/var/task/x.js", line=3)),
            id="lambda",
        ),
        pytest.param(
            {"log": "12:00:00 WARN slow\n", "stream": "stdout", "time": "t"},
            Record(message="slow", level=Level.WARNING),
            id="docker",
        ),
        pytest.param({"MESSAGE": "failed", "PRIORITY": "3"}, Record(message="failed", level=Level.ERROR), id="journald"),
        pytest.param(
            {"severity": "ERROR", "jsonPayload": {"message": "failed", "statusCode": 503}},
            Record(message="failed", level=Level.ERROR, code="503"),
            id="cloud",
        ),
        pytest.param(
            {"message": "ok", "level": "info", "code": 0, "status": 204, "pathname": "/app/x.py", "lineno": 1, "funcName": "f"},
            Record(message="ok", level=Level.INFO, frame=F),
            id="success-with-its-caller",
        ),
        pytest.param({"error": {"detail": 1}}, Record(message='{"error": {"detail": 1}}'), id="nothing-known"),
    ],
)  # fmt: skip
def test_the_fields_of_a_json_record_are_known_by_any_name(fields, expected):
    """Loggers differ in what they call a thing, never in what it is."""
    assert read(json.dumps(fields)) == expected


def test_json_that_says_json_is_read_to_its_message():
    """A collector wraps the line of a logger, which may be JSON too."""
    line = json.dumps({"log": json.dumps({"level": "error", "msg": json.dumps({"message": "failed"})}) + "\n"})

    assert read(line) == Record(message="failed", level=Level.ERROR)


def test_an_object_on_several_lines_is_one_record():
    """Some loggers write JSON for people."""
    assert read(json.dumps({"level": "error", "msg": "failed"}, indent=2)) == Record(message="failed", level=Level.ERROR)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('time=t level=error msg="it \\"failed\\"" err="no answer" code=12',
         Record(message='it "failed"', level=Level.ERROR, errors=(Thrown(type="", message="no answer"),), code="12")),
        ("2020-01-01 00:00:00 level=warn msg=slow", Record(message="slow", level=Level.WARNING)),
        ('E0102 15:04:05.123456 1 a.go:1] "cannot sync" err="refused" pod="a/b"',
         Record(message="cannot sync", level=Level.ERROR, errors=(Thrown(type="", message="refused"),))),
        ('2020-01-01T00:00:00.000Z\tERROR\ta/b.go:12\tfailed\t{"error": "boom"}',
         Record(message="failed", level=Level.ERROR, errors=(Thrown(type="", message="boom"),))),
        ("retry=3 failed", Record(message="retry=3 failed")),
        ("it failed with level=3", Record(message="it failed with level=3")),
    ],
)  # fmt: skip
def test_pairs_are_fields_where_they_say_what_records_say(line, expected):
    """A line of pairs is a record, prose with a pair in it is not."""
    assert read(line) == expected


def test_a_stack_may_stand_below_the_fields():
    """For people, loggers write the stack as lines of its own."""
    found = read('2020-01-01T00:00:00.000Z\tERROR\tfailed\t{"error": "boom"}\nmain.load\n\t/src/load.go:9\n')

    assert (found.message, found.frame) == ("failed", Frame(function="main.load", file="/src/load.go", line=9))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all is well", Record(message="all is well")),
        ("\x1b[31mERROR\x1b[0m it failed", Record(message="it failed", level=Level.ERROR)),
        ("ValueError: boom", Record(message="ValueError: boom", level=Level.ERROR, errors=BOOM)),
        (f"12:00:00 WARN it failed\n{PYTHON}",
         Record(message="it failed", level=Level.WARNING, errors=BOOM, frames=(F,), frame=F)),
        (PYTHON, Record(message="ValueError: boom", level=Level.ERROR, errors=BOOM, frames=(F,), frame=F)),
        ("fail: Acme.Store[0]\r\n      it failed\r\n", Record(message="it failed", level=Level.ERROR)),
        ("first\nsecond", Record(message="first")),
        ("[1, 2]", Record(message="[1, 2]")),
        ("{not json", Record(message="{not json")),
        ("12:00:00 ", Record(message="12:00:00")),
        (" \n ", Record(message="")),
    ],
)  # fmt: skip
def test_plain_text_is_a_message_with_a_head_and_perhaps_a_trace(text, expected):
    """The first line is the message; where that is the trace itself, what was caught."""
    assert read(text) == expected


def test_a_record_is_its_root_cause():
    """The type of an error is that of what went wrong first."""
    assert read(JAVA).error_type == "java.io.IOException"
    assert read("all is well").error_type is None


NAMES = st.sampled_from(
    ["message", "msg", "event", "log", "level", "levelno", "severityNumber", "PRIORITY", "error", "err", "exception", "type",
     "stack", "stack_trace", "trace", "frames", "code", "status", "caller", "lineno", "filename", "name", "attributes", "body"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, JSON, max_size=8))
def test_any_object_is_a_record(fields):
    """Whatever a field holds, the record can be written as JSON and read again."""
    found = of_fields(fields)

    assert Record.model_validate_json(found.model_dump_json()) == found
    assert read(json.dumps(fields)).level == found.level


@given(st.text(max_size=300))
def test_any_text_is_a_record(text):
    """A text that says something has a message."""
    assert bool(read(text).message) == bool(text.strip())


@pytest.mark.parametrize(
    "text",
    ['{"msg": "\\ud800"}', "\ud800 said", '{"a":' * 30_000, "[" * 65_536, '{"frames":[' * 900, '{"a": 1' + "0" * 5_000 + "}"],
)
def test_hostile_text_is_a_record(text):
    """What cannot be written as UTF-8, or is nested without end, is read all the same."""
    found = read(text)

    assert found.message.encode()
    assert len(found.message) <= LONGEST_MESSAGE


@pytest.mark.parametrize(
    "piece",
    ["a", " ", "{", '{"a":{},', "a=", 'a="', 'a="\\', "12:00:00 ", "[", "[[]", "ERROR ", "ERROR a.", "<1>", "a.b::", "0",
     "Jan 1 ", "\n", "\t{", '"a" ', "2020-01-01 a - ", "\x1b[", "(a", "Error: ", "::"],
)  # fmt: skip
def test_no_line_is_slow(piece):
    """The longest text of one piece again and again is read in far less than a second."""
    for start in ("", "2020-01-01 00:00:00 ", "ERROR ", "<11>Oct 11 22:14:15 ", "level=error msg=", '{"msg": "'):
        text, began = (start + piece * 65_536)[:65_536], time.process_time()
        read(text)

        assert time.process_time() - began < 1.0
