"""What `suture` prints: tables for people, JSON and YAML for programs."""

import json

import yaml

from tests.unit.cli.conftest import Stub, Suture, listed

ASKED = "GET /pipelines?limit=200"
PIPELINE = {
    "id": "pip_1",
    "name": "ad-cost",
    "environment": "prod",
    "version": 3,
    "is_active": True,
    "updated_at": "2026-11-20T10:11:12.345Z",
}


def test_table_has_a_line_for_each_item(stub: Stub, suture: Suture):
    """A table shows a heading and one line for each item, without colours in a pipe."""
    stub.on(ASKED, listed(PIPELINE))
    heading, line = suture("pipeline", "list").stdout.splitlines()
    assert heading.split() == ["id", "name", "environment", "version", "active", "updated"]
    assert line.split() == ["pip_1", "ad-cost", "prod", "3", "yes", "2026-11-20", "10:11:12", "UTC"]


def test_json_and_yaml_are_what_the_api_said(stub: Stub, suture: Suture):
    """`-o json` and `-o yaml` lose nothing and add nothing."""
    stub.on(ASKED, listed(PIPELINE))
    assert json.loads(suture("pipeline", "list", "-o", "json").stdout) == [PIPELINE]
    assert yaml.safe_load(suture("pipeline", "list", "-o", "yaml").stdout) == [PIPELINE]


def test_nothing_is_said_on_the_error_stream_alone(stub: Stub, suture: Suture):
    """An empty list is an empty standard output and exit code 0."""
    stub.on(ASKED, listed())
    found = suture("pipeline", "list")
    assert (found.stdout, found.exit_code) == ("", 0)


def test_no_colour_when_told_so(stub: Stub, suture: Suture):
    """NO_COLOR wins over a terminal that could show colours."""
    stub.on(ASKED, listed(PIPELINE))
    assert "\x1b[" not in suture("pipeline", "list", NO_COLOR="1", FORCE_COLOR=None).stdout


def test_stored_text_cannot_move_the_cursor(stub: Stub, suture: Suture):
    """An escape sequence, a right-to-left override and Rich's markup in a name come out as text in every format."""
    hostile = PIPELINE | {"name": "\x1b[2J[red]x\u202e\x9b"}
    stub.on(ASKED, listed(hostile))
    for output in ("table", "json", "yaml"):
        said = suture("pipeline", "list", "-o", output).stdout
        assert "[red]x" in said
        assert not {"\x1b", "\u202e", "\x9b"} & set(said)


def test_every_page_is_shown(stub: Stub, suture: Suture):
    """A list goes on where its cursor leads."""
    stub.on(ASKED, listed(PIPELINE, following="c2"))
    stub.on(f"{ASKED}&cursor=c2", listed(PIPELINE | {"id": "pip_2"}))
    assert [each["id"] for each in json.loads(suture("pipeline", "list", "-o", "json").stdout)] == ["pip_1", "pip_2"]
