"""What the architecture tests read: the project's own files, and what each of them imports when it runs."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("activities", "adapters", "api", "commands", "demo", "domain", "models", "services", "stack", "storage", "workflows")


def kept_files() -> tuple[Path, ...]:
    """Every file that git keeps or would keep; all files where there is no git."""
    words = ("git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    return tuple(path for name in sorted(filter(None, listed.split("\0"))) if (path := ROOT / name).is_file())


def python_files(*rooms: str) -> tuple[Path, ...]:
    return tuple(path for room in rooms for path in sorted((ROOT / room).rglob("*.py")))


def imports(path: Path) -> frozenset[str]:
    """The absolute modules that a file imports outside of `if TYPE_CHECKING`."""
    return frozenset(_imported(ast.parse(path.read_text(encoding="utf-8"))))


def module_exists(name: str) -> bool:
    """Whether the project holds the module `name`, as a file or as a package that can be run."""
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()


def _imported(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=other):
            for each in other:
                yield from _imported(each)
            return
        case ast.Import(names=names):
            yield from (each.name for each in names)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            yield module
            yield from (f"{module}.{each.name}" for each in names)
    for child in ast.iter_child_nodes(node):
        yield from _imported(child)
