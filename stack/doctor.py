"""Say what this machine lacks, and the command that mends it."""

import os
import resource
import shlex
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from domain.base import Value
from domain.errors import UnavailableError
from stack import account, pgfiles
from stack.command import hear
from stack.tools import Search, Tool, look

_ASK_WITHIN = timedelta(seconds=10)
_DISK_BYTES = 2 * 1024**3
_DESCRIPTORS = 1024
_PYTHON = (3, 11)
_PROGRAMS = {"node": "--version", "go": "version", "git": "--version", "make": "--version"}
_FETCHES_ITS_TOOLCHAIN = (1, 21)
_INSTALL = {
    "node": "apt-get install nodejs",
    # Debian's own is too old, and what builds the tools fetches the release that they ask for.
    "go": "apt-get install -t bookworm-backports golang-go",
}


class Finding(Value):
    """One thing looked at; `mend` is the command that helps, where there is one."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


class Subject(Value):
    """What to examine: where tools are looked for, where state is kept, whose code stages run."""

    tools: Search
    data: Path
    code: Path
    interpreter: Path = Path(sys.executable)
    stage_uid: int = account.ORDINARY_UID


async def examine(subject: Subject) -> tuple[Finding, ...]:
    """Every finding, in the order a person would mend them. Nothing is installed, built or started."""
    programs = [await _program(name, subject.tools.path) for name in _PROGRAMS]
    tools = [await _tool(tool, subject.tools) for tool in Tool]
    return (_python(), *programs, *tools, _wheel(), *_places(subject), _descriptors(), *_stages(subject))


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        name="python", ok=sys.version_info >= _PYTHON, detail=found, mend="apt-get install python3.11 python3.11-venv"
    )


async def _program(name: str, path: str) -> Finding:
    program = shutil.which(name, path=path)
    mend = _INSTALL.get(name, f"apt-get install {name}")
    if program is None:
        return Finding(name=name, ok=False, detail="not on PATH", mend=mend)
    said = await _said(program, _PROGRAMS[name])
    return Finding(name=name, ok=name != "go" or _is_new_enough(said), detail=said, mend=mend)


async def _said(program: str, word: str) -> str:
    try:
        said = await hear(program, word, within=_ASK_WITHIN)
    except (OSError, TimeoutError) as error:
        return f"{program} {word}: {error or 'no answer'}"
    return said.text.split("\n", 1)[0][:200]


def _is_new_enough(said: str) -> bool:
    """Whether this Go fetches by itself the toolchain a module asks for."""
    numbers = next((word[2:].split(".") for word in said.split() if word.startswith("go1.")), [])
    return len(numbers) > 1 and numbers[1].isdecimal() and (int(numbers[0]), int(numbers[1])) >= _FETCHES_ITS_TOOLCHAIN


async def _tool(tool: Tool, search: Search) -> Finding:
    try:
        location = await look(tool, search)
    except UnavailableError as error:
        return Finding(name=tool, ok=False, detail=str(error), mend=f"unset SUTURE_{tool.upper()}_PATH; make tools")
    if location is None:
        return Finding(name=tool, ok=False, detail="neither set, nor on PATH, nor in the cache", mend="make tools")
    return Finding(name=tool, ok=True, detail=f"{location.path} ({location.found})")


def _wheel() -> Finding:
    try:
        return Finding(name="postgresql", ok=True, detail=f"{pgfiles.wheel_tree()} ({pgfiles.wheel_version()})")
    except UnavailableError as error:
        return Finding(name="postgresql", ok=False, detail=str(error), mend="make install")


def _places(subject: Subject) -> Iterator[Finding]:
    existing = next(folder for folder in (subject.data, *subject.data.absolute().parents) if folder.exists())
    yield _writable(subject.data, existing)
    free = shutil.disk_usage(existing).free
    detail = f"{free / 1024**3:.1f} GiB free at {existing}, {_DISK_BYTES / 1024**3:.0f} GiB wanted"
    yield Finding(name="disk", ok=free >= _DISK_BYTES, detail=detail, mend="export SUTURE_DATA=A_ROOMIER_DIRECTORY")


def _writable(data: Path, existing: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=existing):
            return Finding(name="data directory", ok=True, detail=str(data))
    except OSError as error:
        mend = f"chown $(id -u) {existing}; or export SUTURE_DATA=A_DIRECTORY_OF_YOURS"
        return Finding(name="data directory", ok=False, detail=f"{data}: {error.strerror}", mend=mend)


def _descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    detail = f"{soft} open files allowed (at most {hard}), {_DESCRIPTORS} wanted"
    return Finding(name="open files", ok=soft >= _DESCRIPTORS, detail=detail, mend=f"ulimit -n {_DESCRIPTORS}")


def _stages(subject: Subject) -> Iterator[Finding]:
    """Root gives stages an ordinary uid, which must be able to read what it runs; others run stages as themselves."""
    if os.geteuid() != 0:
        detail = "stages run as you, so they could read the secrets of the stack; a second org is refused"
        yield Finding(name="stage account", ok=True, detail=detail, mend="run suture as root to separate them")
        return
    ordinary = account.Account(uid=subject.stage_uid, gid=subject.stage_uid)
    reads = account.can_run(subject.interpreter, ordinary)
    mend = "unset SUTURE_STAGE_PYTHON; apt-get install python3"
    where = "can" if reads else "cannot"
    yield Finding(name="stage interpreter", ok=reads, detail=f"uid {ordinary.uid} {where} run {subject.interpreter}", mend=mend)
    enters = account.can_enter(subject.code, ordinary)
    detail = f"uid {ordinary.uid} {'can' if enters else 'cannot'} enter {subject.code}"
    yield Finding(name="stage code", ok=enters, detail=detail, mend=f"chmod o+x {_closed(subject.code)}")


def _closed(folder: Path) -> str:
    """The folders on the way to this one that others may not pass, or this one when they all are open."""
    closed = [each for each in (folder, *folder.parents) if not each.stat().st_mode & stat.S_IXOTH]
    return shlex.join(map(str, closed or [folder]))
