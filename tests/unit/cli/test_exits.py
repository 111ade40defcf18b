"""How `suture` ends when it cannot do what it was told: an exit code, a sentence, a next step, never a traceback."""

import socket
from pathlib import Path

import pytest

from tests.unit.cli.conftest import TOKEN, Stub, Suture, listed

ASKED = "GET /pipelines?limit=200"
REFUSALS = [
    (401, "unauthenticated", 1, "SUTURE_TOKEN"),
    (403, "separation_of_duties", 3, "separation_of_duties"),
    (404, "not_found", 5, "list"),
    (409, "stopped", 1, "suture kill-switch list"),
    (412, "precondition_failed", 1, "try again"),
    (422, "invalid", 2, "--help"),
    (429, "quota_exceeded", 1, "try again in"),
    (500, "internal", 1, "r1"),
    (503, "unavailable", 1, "suture doctor"),
]


@pytest.mark.parametrize(("status", "code", "ends", "says"), REFUSALS)
def test_refusal_becomes_an_exit_code(stub: Stub, suture: Suture, status: int, code: str, ends: int, says: str):
    """Each refusal ends with the code of its kind and says what helps."""
    stub.refuse(ASKED, status, code)
    found = suture("pipeline", "list")
    assert found.exit_code == ends
    assert says in found.stderr
    assert "next:" in found.stderr
    assert "Traceback" not in found.output


def test_nobody_listens(suture: Suture):
    """Where nothing answers, the next step is `suture up`."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = suture("--api-url", f"http://127.0.0.1:{taken.getsockname()[1]}", "pipeline", "list")
    assert found.exit_code == 1
    assert "suture up" in found.stderr
    assert TOKEN not in found.output


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"\xff\xfe", b"{"])
def test_stranger_answers(stub: Stub, suture: Suture, body: bytes):
    """An answer that is no JSON is somebody else's."""
    stub.on(ASKED, body)
    found = suture("pipeline", "list")
    assert (found.exit_code, "not this API" in found.stderr) == (1, True)


def test_redirect_is_not_followed(stub: Stub, suture: Suture):
    """A token never walks to another host."""
    stub.on(ASKED, {}, status=307, location=f"{stub.url}/elsewhere")
    assert suture("pipeline", "list").exit_code == 1
    assert [asked for asked, _, _ in stub.asked] == [ASKED]


@pytest.mark.parametrize("address", ["nonsense", "ftp://x", "http://", "http://[", "http://127.0.0.1:99999"])
def test_bad_address_is_named(suture: Suture, address: str):
    """An address that is none is a sentence, not a traceback."""
    found = suture("--api-url", address, "pipeline", "list")
    assert found.exit_code == 1
    assert "error:" in found.stderr


def test_wrong_setting_is_named(suture: Suture):
    """A setting that makes no sense ends with 2 and its name."""
    found = suture("pipeline", "list", SUTURE_API_PORT="x")
    assert (found.exit_code, "SUTURE_API_PORT" in found.stderr) == (2, True)


@pytest.mark.parametrize(
    "words", [("pipeline", "list", "--bogus"), ("incident", "show", "../tokens"), ("run", "show", "exe_/x")]
)
def test_usage_is_two(stub: Stub, suture: Suture, words: tuple[str, ...]):
    """What the command line itself gets wrong ends with 2, and nothing is asked."""
    assert suture(*words).exit_code == 2
    assert stub.asked == []


def test_no_stack_and_no_token(suture: Suture, stub: Stub):
    """Without an address, and without a token, the sentence says where to get one."""
    assert "suture up" in suture("pipeline", "list", SUTURE_API_URL=None).stderr
    assert "SUTURE_TOKEN" in suture("pipeline", "list", SUTURE_TOKEN=None).stderr


def test_running_stack_is_found(stub: Stub, suture: Suture, tmp_path: Path):
    """What `suture up` leaves in its data directory is enough."""
    stub.on(ASKED, listed())
    data = _left(tmp_path / "data", stub.url)
    assert suture("pipeline", "list", SUTURE_API_URL=None, SUTURE_TOKEN=None).exit_code == 0
    assert stub.asked[0][2]["Authorization"] == f"Bearer {(data / 'admin.token').read_text().strip()}"


def test_first_token_stays_at_home(stub: Stub, suture: Suture, tmp_path: Path):
    """The token of the stack here is not sent to an API elsewhere."""
    _left(tmp_path / "data", "http://127.0.0.1:1")
    assert suture("pipeline", "list", SUTURE_TOKEN=None).exit_code == 1
    assert stub.asked == []


def test_token_file_with_something_else(stub: Stub, suture: Suture, tmp_path: Path):
    """A file that holds no token is named, and its content is not."""
    path = tmp_path / "file"
    path.write_bytes(b"two words\xff")
    found = suture("--token-file", str(path), "pipeline", "list")
    assert (found.exit_code, "two words" in found.output) == (2, False)


def _left(data: Path, url: str) -> Path:
    data.mkdir()
    (data / "connection.json").write_text(f'{{"api_url": "{url}", "ui_url": null}}')
    (data / "admin.token").write_text("sut_home\n")
    return data


def test_a_misspelt_setting_is_named_with_the_closest_one(suture: Suture):
    """Before anything is asked, in two lines and without a traceback."""
    found = suture("doctor", SUTURE_LEESE="2s")
    assert (found.exit_code, found.stderr.count("\n")) == (2, 2)
    assert "SUTURE_LEESE: no setting is called so, did you mean SUTURE_LEASE?" in found.stderr
