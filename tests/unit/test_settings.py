"""Settings are checked at start: by name, with the reason, never with the value."""

import pytest

import settings
from domain.errors import InvalidError
from settings import OTHERS, QUEUES, Settings
from tests.processes import run
from workflows.registry import WORKFLOWS

BARE = {"PATH": "/usr/bin:/bin"}
CANARY = "canary-5e1f"


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch):
    """What `load` says about one variable."""

    def load(name: str, value: str) -> str:
        monkeypatch.setenv(name, value)
        with pytest.raises(InvalidError) as found:
            settings.load()
        return str(found.value)

    return load


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SUTURE_LOG_LEVL", "SUTURE_LOG_LEVEL"),
        ("SUTURE_QUEUE", "SUTURE_QUEUES"),
        ("SUTURE_DATABASE_ULR", "SUTURE_DATABASE_URL"),
        ("suture_opa_ur", "SUTURE_OPA_URL"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_closest_one(refused, name, meant):
    """It would count for nothing, and nobody would know."""
    said = refused(name, CANARY)
    assert said == f"settings: {name}: no setting is called so, did you mean {meant}?"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SUTURE_LOG_LEVEL", CANARY, "Input should be 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
        (
            "SUTURE_QUEUES",
            f"io,{CANARY}",
            "expected some of scheduler, orchestrator, io, inference, replay, execute-ENVIRONMENT",
        ),
        ("SUTURE_QUEUES", "io,io", "expected each queue once"),
        ("SUTURE_QUEUES", f"execute-{CANARY}!", "expected some of scheduler"),
        ("SUTURE_ENVIRONMENTS", f"dev,{CANARY}_!", "String should match pattern"),
        (
            "SUTURE_DATABASE_URL",
            f"postgresql://u:{CANARY}@db/x",
            "expected postgresql+asyncpg://user:password@host:port/database",
        ),
        ("SUTURE_DATABASE_URL", f"postgresql+asyncpg://u:{CANARY}@db:port/x", "expected postgresql+asyncpg"),
        ("SUTURE_OPA_URL", f"{CANARY}:8181", "String should match pattern"),
        ("SUTURE_TEMPORAL_ADDRESS", f"http://{CANARY}", "String should match pattern"),
        ("SUTURE_REACHABLE", f"10.0.0.0/8,{CANARY}", "Input is not a valid IPv4 network"),
        ("SUTURE_REACHABLE", "10.0.0.7/8", "Input is not a valid IPv4 network"),
        ("SUTURE_API_PORT", CANARY, "Input should be a valid integer"),
    ],
)
def test_a_bad_value_is_named_with_its_reason_and_not_shown(refused, name, value, reason):
    """Whoever set it reads which one it is and what was expected."""
    said = refused(name, value)
    assert said.startswith(f"settings: {name}: {reason}")
    assert CANARY not in said


def test_everything_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch):
    """One start is enough to learn it all."""
    monkeypatch.setenv("SUTURE_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("SUTURE_NONSENSE_XYZ", "1")
    with pytest.raises(InvalidError, match=r"SUTURE_NONSENSE_XYZ: .*; SUTURE_LOG_LEVEL: "):
        settings.load()


def test_good_settings_are_read(monkeypatch: pytest.MonkeyPatch):
    """A level in small letters counts, what is empty is not set, and what stages are told is no setting."""
    given = {"SUTURE_LOG_LEVEL": "debug", "SUTURE_QUEUES": "io, execute-dev", "SUTURE_TEMPORAL_UI_URL": ""}
    for name, value in (given | dict.fromkeys(OTHERS, "1")).items():
        monkeypatch.setenv(name, value)
    chosen = settings.load()
    assert (chosen.log_level, chosen.queues, chosen.temporal_ui_url) == ("DEBUG", ("io", "execute-dev"), None)
    assert not OTHERS & Settings.settings_names()


def test_every_queue_with_work_is_known():
    """A pool for any of them starts."""
    assert set(QUEUES) == {*WORKFLOWS, "io", "inference"}


@pytest.mark.parametrize("module", ["worker", "api.app", "provision"])
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SUTURE_LOG_LEVEL", "LOUD", "SUTURE_LOG_LEVEL: Input should be 'DEBUG'"),
        ("SUTURE_LEESE", "2s", "SUTURE_LEESE: no setting is called so, did you mean SUTURE_LEASE?"),
        ("SUTURE_REGION", "here", "is not set"),
    ],
)
async def test_a_process_that_cannot_start_says_why_in_one_sentence(module, name, value, says):
    """No traceback; exit code 2, as a wrong word on the command line has."""
    ended = await run(module, BARE | {name: value})
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert says in ended.err
