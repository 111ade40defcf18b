"""Lines of one stream become records."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.logs.joining import Joiner, records
from models.logs.records import read
from tests.unit.models.logs.test_traces import DOTNET, GO, GROUP, JAVA, JAVASCRIPT, PYTHON, RAILS, RUBY, RUST, RUST_RETURNED

NEXT = "2020-01-01 00:00:01 INFO going on"
HEADED = "2020-01-01 00:00:00 ERROR it failed"


def joined(text: str) -> list[str]:
    return list(records(text.split("\n")))


@pytest.mark.parametrize("trace", [PYTHON, GROUP, JAVA, GO, DOTNET, RUBY, RUST, RUST_RETURNED, JAVASCRIPT.partition("\n\n")[2]])
def test_a_trace_is_one_record(trace):
    """The lines of a trace, blank ones between them or not, are one record, and the lines around it are others."""
    assert joined(f"{NEXT}\n{trace}{NEXT}\nbare") == [NEXT, "\n".join(filter(None, trace.split("\n"))), NEXT, "bare"]


@pytest.mark.parametrize("trace", [PYTHON, JAVA, DOTNET, RUBY, RAILS.partition("\n\n")[2]])
def test_a_trace_belongs_to_the_error_logged_before_it(trace):
    """A logger writes its message, then the trace."""
    record, after = joined(f"{HEADED}\n{trace}{NEXT}\n")

    assert (record.split("\n")[0], after) == (HEADED, NEXT)
    assert read(record).frames == read(trace).frames


@pytest.mark.parametrize("line", [NEXT, '{"level":"info","msg":"ready"}', "ready"])
def test_a_trace_does_not_belong_to_what_is_no_error(line):
    """A crash after a good line is a record of its own."""
    assert len(joined(f"{line}\n{PYTHON}")) == 2


def test_a_second_trace_is_a_second_record():
    """Two crashes of one stream, one after the other, are two."""
    assert [each.count("\n") for each in joined(f"{HEADED}\n{PYTHON}{PYTHON}")] == [16, 15]


def test_a_message_of_several_lines_stays_with_the_trace_of_a_headed_record():
    """Where each record has a head, what has none is not a record."""
    text = f"{HEADED}\n{PYTHON}LINE 1: select 1 form orders\n[SQL: select 1 form orders]\n{NEXT}\nbare"

    assert [each.partition("\n")[0] for each in joined(text)] == [HEADED, NEXT, "bare"]


def test_indented_lines_and_closing_brackets_go_on():
    """A value printed over several lines is one record."""
    text = '{\n  "level": "error",\n  "msg": "failed"\n}\nplan:\n  - a\n\n  apart'

    assert [each.replace("\n", "|") for each in joined(text)] == [
        '{|  "level": "error",|  "msg": "failed"|}', "plan:|  - a", "  apart",
    ]  # fmt: skip


def test_other_lines_are_records_of_their_own():
    """Plain, JSON and headed lines stay apart; blank ones are none."""
    lines = ["one", "", "two", '{"msg": "x"}', '{"msg": "y"}', HEADED, HEADED, "from here on", "at last"]

    assert list(records(lines)) == [line for line in lines if line]


def test_a_stream_that_ends_or_is_silent_gives_what_it_has():
    """A record is known to be over by the next line only, or because somebody asks."""
    joiner = Joiner()
    over = [joiner.take(line) for line in (HEADED, "\tat com.acme.Foo.bar(Foo.java:1)", NEXT)]

    assert over == [None, None, f"{HEADED}\n\tat com.acme.Foo.bar(Foo.java:1)"]
    assert (joiner.rest(), joiner.rest()) == (NEXT, None)


def test_of_a_long_record_both_ends_are_kept():
    """Some languages say at the beginning what went wrong, others at the end."""
    frames = "".join(f'  File "/app/x.py", line {n}, in f\n' for n in range(5_000))
    (record,) = joined(f"Traceback (most recent call last):\n{frames}RecursionError: too deep")

    assert len(record) <= 66_000
    assert record.count("\n") <= 1_001
    assert "    ... 4,002 lines left out\n" in record
    assert read(record).error_type == "RecursionError"


LINES = st.lists(
    st.sampled_from(
        [line for text in (PYTHON, JAVA, JAVASCRIPT, GO, DOTNET, RUBY, RUST) for line in text.split("\n")] + [NEXT, HEADED]
    )
    | st.text(alphabet=st.characters(exclude_categories=["Cc", "Zl", "Zp", "Cs"]), max_size=20),
    max_size=60,
)


@given(LINES)
def test_no_line_is_lost(lines):
    """Within the bounds every line that says something is in one record, in order, and no record is empty."""
    found = list(records(lines))

    assert [line for record in found for line in record.split("\n")] == [line.rstrip() for line in lines if line.strip()]


@given(LINES)
def test_bounds_hold(lines):
    """However long a record goes on, it has few lines and characters."""
    for record in records(lines, most_lines=6, most_characters=200):
        assert record.count("\n") <= 6
        assert len(record) <= 200 + len("\n    ... 99 lines left out")


@pytest.mark.parametrize("piece", ["Caused by: ", "\tat a", "a:1", "panicked at ", "A.b(", "goroutine 1 [", "[", "from a:1"])
def test_no_stream_is_slow(piece):
    """A long line, and many of them, are joined in far less than a second."""
    began = time.process_time()
    list(records([(piece * 65_536)[:65_536], *[piece] * 5_000]))

    assert time.process_time() - began < 1.0
