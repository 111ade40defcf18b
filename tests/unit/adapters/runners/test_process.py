"""The stage contract, kept by real processes."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.blobs import DirectoryBlobs
from adapters.runners.identity import StageIdentity
from adapters.runners.process import ProcessRunner
from domain.errors import InvalidError, NotFoundError, UnavailableError
from domain.stage import Outcome, ProbeAnswer, StageCommand, StageLimits, StageResult, SupervisorHandle
from tests.unit.adapters.runners.stage_builders import UIDS, VERSION, Watcher, runner_at, stage

TELL = """
import json, os, pathlib
env = dict(os.environ)
env.pop("LC_CTYPE", None)
told = {
    "env": env, "cwd": os.listdir("."), "uid": os.getuid(), "groups": os.getgroups(),
    "open": len(os.listdir("/proc/self/fd")),
    "config": json.loads(pathlib.Path(env["SUTURE_CONFIG"]).read_text()),
    "inputs": {str(p.relative_to(env["SUTURE_INPUTS"])): p.read_text()
               for p in pathlib.Path(env["SUTURE_INPUTS"]).rglob("*") if p.is_file()},
    "modes": {p.name: oct(p.stat().st_mode & 0o777) for p in pathlib.Path(env["SUTURE_SECRETS"]).iterdir()},
}
try:
    (pathlib.Path(env["SUTURE_CODE"]) / "new").write_text("x")
    told["code_writable"] = True
except OSError:
    told["code_writable"] = False
print(json.dumps(told))
"""


async def run(runner: ProcessRunner, command: StageCommand, **secrets: str) -> StageResult:
    watcher = Watcher()
    return await runner.run(command, secrets, heartbeat=watcher.beat, started=watcher.started)


def left_in(place: Path) -> list[Path]:
    return list((place / "work").iterdir())


async def test_the_contract(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """A stage finds the contract's environment, an empty directory, and nothing else."""
    joined = place / "joined"
    joined.mkdir()
    (joined / "rows.csv").write_text("a,b")
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    command = await stage(
        blobs,
        place,
        TELL,
        config={"column": "value", "größe": 1.5},
        inputs={"join": await blobs.put_tree(joined)},
        secrets=("target_dsn",),
        traceparent=trace,
        dry_run=True,
    )
    result = await run(runner, command, target_dsn="postgres://very-secret")
    assert result.outcome is Outcome.PASSED, result.head
    told: dict[str, Any] = json.loads(result.head)
    env = told["env"]
    assert set(env) == {
        "PATH", "PYTHONPATH", "SUTURE_CODE", "SUTURE_CONFIG", "SUTURE_INPUTS", "SUTURE_OUTPUTS", "SUTURE_SECRETS",
        "SUTURE_STEP_KEY", "SUTURE_STEP_VERSION", "SUTURE_DRY_RUN", "TRACEPARENT",
    }  # fmt: skip
    assert env["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert (env["SUTURE_STEP_KEY"], env["SUTURE_STEP_VERSION"]) == ("run-1/load", VERSION)
    assert (env["SUTURE_DRY_RUN"], env["TRACEPARENT"]) == ("1", trace)
    assert told["cwd"] == []
    assert told["open"] == 4  # its three streams and the listing itself
    assert told["config"] == {"column": "value", "größe": 1.5}
    assert told["inputs"] == {"join/rows.csv": "a,b"}
    assert told["modes"] == {"target_dsn": "0o400"}
    assert told["code_writable"] is (False if os.geteuid() == 0 else told["code_writable"])
    assert left_in(place) == []


@pytest.mark.parametrize(
    ("program", "outcome", "code", "signal"),
    [
        ("", Outcome.PASSED, 0, None),
        ("raise SystemExit(75)", Outcome.RETRY, 75, None),
        ("raise SystemExit(3)", Outcome.FAILED, 3, None),
        ("import os; os.kill(os.getpid(), 11)", Outcome.FAILED, None, 11),
    ],
)
async def test_exits(
    runner: ProcessRunner,
    blobs: DirectoryBlobs,
    place: Path,
    program: str,
    outcome: Outcome,
    code: int | None,
    signal: int | None,
) -> None:
    """0 is success, 75 asks for a retry, anything else is failure."""
    result = await run(runner, await stage(blobs, place, program))
    assert (result.outcome, result.exit_code, result.signal) == (outcome, code, signal)
    assert not result.timed_out


async def test_a_missing_program(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """A command that does not exist fails and says so."""
    result = await run(runner, await stage(blobs, place, "", argv=("no-such-program",)))
    assert (result.outcome, result.exit_code) == (Outcome.FAILED, 127)
    assert "cannot start 'no-such-program': No such file or directory" in result.head


async def test_no_shell(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """Arguments reach the stage as they are written."""
    result = await run(runner, await stage(blobs, place, "", argv=("echo", "$PATH;`id`", "*")))
    assert result.head == "$PATH;`id` *\n"


async def test_outputs_and_rows(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """What a stage leaves is stored by its digest, the same each time, and its rows are counted."""
    program = """
import json, os, pathlib
out = pathlib.Path(os.environ["SUTURE_OUTPUTS"])
(out / "deep").mkdir()
(out / "deep" / "table.csv").write_text("1,2")
(out / ".metrics.json").write_text(json.dumps({"rows": 42}))
"""
    first = await run(runner, await stage(blobs, place, program))
    again = await run(runner, await stage(blobs, place, program))
    assert first.rows == 42
    assert first.outputs is not None
    assert first.outputs == again.outputs
    into = place / "into"
    into.mkdir()
    await blobs.unpack(first.outputs, into)
    assert (into / "deep" / "table.csv").read_text() == "1,2"


@pytest.mark.parametrize(
    "metrics", ["{", '{"rows": "many"}', '{"rows": -1}', '{"rows": true}', "[]", "[" * 60000, '{"rows": 1e999}']
)
async def test_metrics_that_are_no_count(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path, metrics: str) -> None:
    """A metrics file that holds no count is no count, and no failure."""
    program = f"import os; open(os.environ['SUTURE_OUTPUTS'] + '/.metrics.json', 'w').write({metrics!r})"
    result = await run(runner, await stage(blobs, place, program))
    assert (result.outcome, result.rows) == (Outcome.PASSED, None)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("[open(f'{out}/{n}', 'w').close() for n in range(6)]", "expected at most 5 files"),
        ("[open(f'{out}/{n}', 'w').write('x' * 900) for n in range(3)]", "expected at most 2000 bytes"),
        ("os.symlink('/etc/passwd', f'{out}/copy')", "'copy' is neither a file nor a folder"),
        ("os.mkfifo(f'{out}/pipe')", "'pipe' is neither a file nor a folder"),
    ],
)
async def test_outputs_are_bounded(blobs: DirectoryBlobs, place: Path, program: str, reason: str) -> None:
    """Too many, too large or strange outputs fail the stage, and the tail says why."""
    runner = runner_at(place, blobs, limits=StageLimits(outputs_files=5, outputs_bytes=2000))
    result = await run(runner, await stage(blobs, place, f"import os; out = os.environ['SUTURE_OUTPUTS']; {program}"))
    assert (result.outcome, result.exit_code, result.outputs) == (Outcome.FAILED, 0, None)
    assert reason in result.tail
    assert left_in(place) == []


async def test_secrets_are_redacted(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """A stage that prints its secret, also in two writes, leaves no trace of it."""
    program = """
import os, sys, time
secret = open(os.environ["SUTURE_SECRETS"] + "/token").read()
print("whole", secret, flush=True)
sys.stderr.write("split " + secret[:7]); sys.stderr.flush()
time.sleep(0.1)
print(secret[7:], "end")
"""
    result = await run(runner, await stage(blobs, place, program, secrets=("token",)), token="correct-horse-battery")
    assert result.head == "whole [redacted]\nsplit [redacted] end\n"


async def test_unnamed_secrets(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """A stage gets the secrets it names, no more and no fewer."""
    command = await stage(blobs, place, "", secrets=("token",))
    with pytest.raises(InvalidError, match=r"expected the secrets \['token'\], got \['other'\]"):
        await run(runner, command, other="x")


async def test_probe_answers(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """A probe says done with the outputs again, not done, or nothing that can be relied on."""
    program = """
import os, sys
open(os.environ["SUTURE_OUTPUTS"] + "/rows", "w").write("7")
sys.exit(int(sys.argv[1]))
"""
    watcher, answers = Watcher(), []
    for code in ("0", "3", "1", "75"):
        probe = ("python", "-m", "stage", code)
        command = await stage(blobs, place, program, argv=("false",), probe=probe, effect="probe")
        answers.append(await runner.probe(command, {}, heartbeat=watcher.beat, started=watcher.started))
    unknown = ProbeAnswer.UNKNOWN
    assert [probed.answer for probed in answers] == [ProbeAnswer.DONE, ProbeAnswer.NOT_DONE, unknown, unknown]
    assert answers[0].attempt.outputs is not None


async def test_memory_is_bounded(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """A stage cannot take more memory than it asked for, and what it took is told."""
    command = await stage(blobs, place, "hold = b'x' * 300_000_000", memory=128 * 1024**2)
    result = await run(runner, command)
    assert result.outcome is Outcome.FAILED
    assert "MemoryError" in result.head
    used = await run(runner, await stage(blobs, place, "hold = b'x' * 50_000_000"))
    assert 50_000_000 < used.peak_memory < 100_000_000


async def test_intent_before_start(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """The stage starts only after its intent is stored, however long that takes."""
    stored: list[datetime] = []

    async def slowly(_: SupervisorHandle) -> None:
        await asyncio.sleep(0.1)
        stored.append(datetime.now(UTC))

    result = await runner.run(await stage(blobs, place, ""), {}, heartbeat=Watcher().beat, started=slowly)
    assert result.started_at >= stored[0]


async def test_no_start_without_intent(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """Where the intent cannot be stored, the stage never runs."""
    proof = place / "ran"
    proof.mkdir(mode=0o777)
    proof.chmod(0o777)
    command = await stage(blobs, place, f"open({str(proof / 'it')!r}, 'w')")

    async def refuse(_: object) -> None:
        raise UnavailableError("no database")

    with pytest.raises(UnavailableError, match="no database"):
        await runner.run(command, {}, heartbeat=Watcher().beat, started=refuse)
    assert not (proof / "it").exists()
    assert left_in(place) == []


async def test_missing_code(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """Code that is not stored is named, and nothing is left behind."""
    command = (await stage(blobs, place, "")).model_copy(update={"code": "f" * 64})
    with pytest.raises(NotFoundError, match="no blob ffff"):
        await run(runner, command)
    assert left_in(place) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a stage another user")
async def test_own_uid(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """Started as root, a stage is an ordinary user without groups, who can read neither the blobs nor another stage."""
    told = json.loads((await run(runner, await stage(blobs, place, TELL))).head)
    assert told["uid"] in UIDS
    assert told["groups"] == []
    program = f"import os; os.listdir({str(place / 'blobs')!r})"
    assert "PermissionError" in (await run(runner, await stage(blobs, place, program))).head


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a stage another user")
async def test_uids_are_never_shared(place: Path) -> None:
    """A uid in use is given to nobody else, not even by another worker of the host."""
    first, second = (StageIdentity(range(61000, 61002), locks=place / "uids") for _ in range(2))
    with first.claimed() as one, second.claimed() as two:
        assert {one.uid, two.uid} == {61000, 61001}
        with pytest.raises(UnavailableError, match="all 2 stage uids"), first.claimed():
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a range")
async def test_root_needs_uids() -> None:
    """A worker started as root without uids for its stages is refused."""
    with pytest.raises(InvalidError, match="needs a range of uids"):
        StageIdentity(None)


async def test_fast(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """The time a result tells is the stage's own."""
    result = await run(runner, await stage(blobs, place, "import time; time.sleep(0.2)"))
    assert timedelta(seconds=0.2) < result.wall < timedelta(seconds=2)
    assert result.cpu < result.wall
    assert result.ended_at - result.started_at == result.wall
