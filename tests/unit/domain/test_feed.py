"""The address of a database, what of it is followed, and what a notice tells of a row."""

import json

import pytest
from pydantic import ValidationError

from domain.errors import InvalidError
from domain.feed import Change, DatabaseAddress, Feed, Notice

FEED = Feed(channels=("suture",), table="jobs", since="updated_at")


def test_an_address_is_read():
    """With what is escaped in it; the connection is encrypted and the port the usual one, unless it says otherwise."""
    found = DatabaseAddress.of("postgresql://us%40er:p%3Aw@db.example.com/jobs")
    assert (found.host, found.port, found.user, found.database, found.tls) == (
        "db.example.com",
        5432,
        "us@er",
        "jobs",
        "require",
    )
    assert found.password.get_secret_value() == "p:w"
    other = DatabaseAddress.of("postgres://u:p@[2001:db8::1]:6543/jobs?sslmode=disable")
    assert (other.host, other.port, other.tls) == ("2001:db8::1", 6543, "disable")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://u:hidden@db/jobs",
        "postgresql://db/jobs",
        "postgresql://u@db/jobs",
        "postgresql://u:hidden@/jobs?host=/tmp",
        "postgresql://u:hidden@db",
        "postgresql://u:hidden@db:port/jobs",
        "postgresql://u:hidden@db:99999/jobs",
        "postgresql://u:hidden@one,two/jobs",
        "postgresql://u:hidden@db/jobs?sslmode=prefer",
        "postgresql://u:hidden@db/jobs?sslmode=require&service=x",
        "postgresql://u:hidden%00@db/jobs",
        "postgresql://u:hidden%ff@db/jobs",
        "postgresql://u:hidden@db/jobs#x",
        "postgresql://u:hidden@d b/jobs",
        "postgresql://u:hidden@[db/jobs",
    ],
)
def test_another_address_is_refused_and_not_repeated(url):
    """One host, one user, a password, a database; nothing that a driver would read into it."""
    with pytest.raises(InvalidError) as refused:
        DatabaseAddress.of(url)
    assert refused.value.pointer == "/secret"
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "said",
    [
        {"channels": []},
        {"channels": ["a" * 64]},
        {"channels": ['a"; drop table jobs; --']},
        {"channels": ["a"], "table": "jobs"},
        {"channels": ["a"], "since": "id"},
        {"channels": ["a"], "table": "a.b.c", "since": "id"},
        {"channels": ["a"], "table": 'jobs"', "since": "id"},
        {"channels": ["a"], "table": "jobs\n", "since": "id"},
        {"channels": ["a"], "verdicts": 'jobs"'},
        {"channels": ["a"], "verdicts": "a.b.c"},
    ],
)
def test_only_plain_names_are_followed(said):
    """Whatever else could be quoted is no name of a channel, a table or a column."""
    with pytest.raises(ValidationError):
        Feed.model_validate(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"record": {"updated_at": "10:00"}}, Change(position="10:00", is_unread=False, is_known_by_row=True)),
        (
            {"type": "UPDATE", "record": {"updated_at": 1}, "old_record": {"updated_at": 1}},
            Change(position="1", is_unread=False, is_known_by_row=False),
        ),
        ({"record": None}, Change(position=None, is_unread=True, is_known_by_row=False)),
        ({"record": {"updated_at": True}}, Change(position=None, is_unread=False, is_known_by_row=False)),
        ({"table": "other", "record": {"updated_at": 1}}, None),
        ({"type": "DELETE", "record": None}, None),
    ],
)
def test_a_notice_tells_where_a_row_stands(said, expected):
    """By its `since`, if it is of the table that is watched."""
    notice = {"schema": "public", "table": "jobs", "type": "INSERT"} | said
    assert Change.of(FEED, Notice(channel="suture", payload=json.dumps(notice))) == expected


@pytest.mark.parametrize("payload", ["", "late", "[" * 7_000, "7"])
def test_any_other_notice_tells_of_no_row(payload):
    """It is an event, and moves nothing."""
    assert Change.of(FEED, Notice(channel="suture", payload=payload)) is None


@pytest.mark.parametrize("verdicts", ["public.jobs", "jobs"])
def test_nothing_is_written_to_the_table_that_is_followed(verdicts):
    """However its schema is written; any other table may be named, with or without one that is followed."""
    with pytest.raises(ValidationError, match="another table than `table`"):
        Feed(channels=("a",), table="jobs", since="id", verdicts=verdicts)
    Feed(channels=("a",), table="ops.jobs", since="id", verdicts=verdicts)
    Feed(channels=("a",), verdicts=verdicts)


@pytest.mark.parametrize(
    ("schema", "table", "expected"),
    [("public", "verdicts", True), ("public", "jobs", False), ("ops", "verdicts", False), (None, "verdicts", False)],
)
def test_what_we_have_written_is_told_from_the_rest(schema, table, expected):
    """By schema and table; without a table of ours nothing is."""
    notice = Notice(channel="a", payload=json.dumps({"schema": schema, "table": table, "type": "INSERT"}))
    assert Feed(channels=("a",), verdicts="verdicts").is_ours(notice) is expected
    assert not Feed(channels=("a",)).is_ours(notice)


@pytest.mark.parametrize("payload", ["", "late", "[1]", "[" * 7_000])
def test_any_other_word_is_not_ours(payload):
    """It is heard."""
    assert not Feed(channels=("a",), verdicts="verdicts").is_ours(Notice(channel="a", payload=payload))
