"""The Python that `python` means in a stage: one that the stage's ordinary account can run, with a database driver in it."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from domain.errors import UnavailableError
from stack.account import SHARED, Account, can_enter, can_run, ordinary

_SYSTEM = Path("/usr/bin/python3")
_PACKAGES = ("asyncpg",)
_WITHIN_S = 60


def stage_python(data: Path) -> Path:
    """This environment's own Python where the account can run it, else one made beside the data from the system's.

    Raises:
        UnavailableError: there is none; the message says which setting helps.
    """
    account = ordinary()
    own = Path(sys.executable)
    if account is None or can_run(own, account):
        return own
    if not can_run(_SYSTEM, account) or _version(_SYSTEM) != sys.version_info[:2]:
        need = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise UnavailableError(f"no Python {need} that an ordinary account can run; set SUTURE_STAGE_PYTHON to one")
    return _made(_place(data, account)) / "bin" / "python"


def _place(data: Path, account: Account) -> Path:
    if can_enter(data, account):
        return data / "stage-python"
    name = hashlib.sha256(bytes(data.resolve())).hexdigest()[:12]
    return SHARED / f"{name}-python"


def _made(place: Path) -> Path:
    """The environment at `place`, made completely or not at all."""
    if place.exists():
        return place
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = place.with_name(f"{place.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    subprocess.run([_SYSTEM, "-m", "venv", "--without-pip", draft], check=True, capture_output=True, timeout=_WITHIN_S)
    site = next((draft / "lib").glob("python*/site-packages"))
    for package in _PACKAGES:
        shutil.copytree(_folder_of(package), site / package, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    draft.replace(place)
    return place


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError(f"the package {package} is not installed; run `make install`")
    return Path(next(iter(spec.submodule_search_locations)))


def _version(interpreter: Path) -> tuple[int, int]:
    said = subprocess.run(
        [interpreter, "-c", "import sys; print(*sys.version_info[:2])"],
        check=True,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
    )
    major, minor = said.stdout.split()
    return int(major), int(minor)
