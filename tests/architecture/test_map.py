"""The map of the specifications in docs/architecture.md is true: what it names exists, and what is not yet there does not."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache

import pytest
import pytest_asyncio
from fastapi import APIRouter
from fastapi.routing import APIRoute
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import api.routes
from activities.interceptor import STAGES
from tests.architecture.sources import ROOMS, ROOT, python_files

NOT_YET = "not yet"
QUOTED = re.compile(r"`([^`]+)`")
RENAMED = re.compile(r"`(\w+)` is `(\w+)\.(\w+)`")
PRINTED = re.compile(r"`(\w+)\((.*)\)`$")
CALL = re.compile(r"^(GET|POST|PUT|PATCH|DELETE) (\S+)$")
INSTRUMENTS = frozenset({"Counter", "Gauge", "Histogram", "Summary"})
COLUMNS = "select table_name, column_name from information_schema.columns where table_schema = 'public'"


def rows(title: str) -> list[tuple[str, ...]]:
    """The rows of the table under a heading."""
    sections = re.split(r"^#+ ", (ROOT / "docs" / "architecture.md").read_text(), flags=re.MULTILINE)
    lines = next(part for part in sections if part.startswith(f"{title}\n")).splitlines()
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("|")]
    return cells[2:]


def parts(pattern: re.Pattern[str], cell: str) -> tuple[str, ...]:
    """The parts of a cell that must look like `pattern`."""
    match = pattern.match(cell)
    assert match is not None, f"the map is not well formed: {cell}"
    return match.groups()


def promised(here: str) -> tuple[list[str], list[str]]:
    """What a cell says is here, and what it says is not yet."""
    absent = [word for clause in re.findall(r"not yet \((.*?)\)", here) for word in QUOTED.findall(clause)]
    return [word for word in QUOTED.findall(here) if word not in absent], absent


@pytest_asyncio.fixture(scope="session")
async def columns(superuser: AsyncEngine) -> dict[str, set[str]]:
    """Every table and view of a migrated database, with its columns."""
    found: dict[str, set[str]] = {}
    async with superuser.connect() as connection:
        for table, column in await connection.execute(text(COLUMNS)):
            found.setdefault(table, set()).add(column)
    return found


@pytest.fixture(scope="module")
def calls() -> set[str]:
    """Every call the API answers under its canonical prefix, parameters without their names."""
    return set(_calls())


def _calls() -> Iterator[str]:
    for found in pkgutil.iter_modules(api.routes.__path__):
        module = importlib.import_module(f"api.routes.{found.name}")
        for router in (value for value in vars(module).values() if isinstance(value, APIRouter)):
            for route in router.routes:
                if isinstance(route, APIRoute):
                    yield from (nameless(f"{method} /api/v1{route.path}") for method in route.methods or ())


def nameless(call: str) -> str:
    return re.sub(r"\{\w+\}", "{}", call)


def canonical(call: str) -> str:
    """A call of any specification under the canonical prefix."""
    method, path = parts(CALL, call)
    return nameless(f"{method} /api/v1{re.sub(r'^/(api/v1|v1|api)', '', path)}")


@cache
def metric_names() -> set[str]:
    """Every instrument the product registers, as Prometheus shows it."""
    found = set()
    for path in python_files(*ROOMS):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=kind), args=[ast.Constant(value=str(name)), *_]) if kind in INSTRUMENTS:
                    found.add(f"{name}_total" if kind == "Counter" else name)
    return found


@cache
def span_names() -> set[str]:
    """Every span the product opens: those of activities, and those opened by name."""
    found = set(STAGES.values())
    for path in python_files(*ROOMS):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=owner, attr="open"), args=[ast.Constant(value=str(name)), *_]):
                    found |= {name} if "spans" in ast.unparse(owner) else set()
    return found


@pytest.mark.parametrize(("component", "here"), [row[1:] for row in rows("Components")])
def test_each_component_is_where_the_map_says(component: str, here: str) -> None:
    """The parts named for a component exist; those that are not yet there do not."""
    present, absent = promised(here)

    assert present or absent
    assert [name for name in present if not (ROOT / name).exists()] == []
    assert [name for name in absent if (ROOT / name).exists()] == []


@pytest.mark.parametrize(("spec", "printed", "here"), rows("Tables"))
async def test_each_table_has_the_columns_as_printed(columns: dict[str, set[str]], spec: str, printed: str, here: str) -> None:
    """A table of a specification is here with every column, under its own name or the one the map gives."""
    table, names = parts(PRINTED, printed)
    if here == NOT_YET:
        assert table not in columns
        return
    (place,) = parts(QUOTED, here)
    other = {name: (where, column) for name, where, column in RENAMED.findall(here)}
    wanted = {name: other.get(name, (place, name)) for name in names.split(", ")}

    assert {name: where for name, where in wanted.items() if where[1] not in columns.get(where[0], ())} == {}
    assert other.keys() <= wanted.keys()


@pytest.mark.parametrize(("spec", "printed", "here"), rows("Endpoints"))
def test_each_endpoint_answers_or_is_not_yet(calls: set[str], spec: str, printed: str, here: str) -> None:
    """A call of a specification has a route, under the canonical path that the map gives."""
    present, absent = promised(here)
    asked = [call for call in QUOTED.findall(printed) if CALL.match(call)]
    absent += asked if here == NOT_YET else []

    assert [call for call in present if nameless(call) not in calls] == []
    assert [call for call in absent if canonical(call) in calls] == []
    assert here == NOT_YET or absent or all(canonical(call) in map(nameless, present) for call in asked)


@pytest.mark.parametrize(("spec", "printed", "here"), rows("Spans"))
def test_each_span_is_opened_or_is_not_yet(spec: str, printed: str, here: str) -> None:
    """A span of a specification is opened under exactly its name."""
    (name,) = parts(QUOTED, printed)

    assert (name in span_names()) == (here != NOT_YET)
    assert here in {NOT_YET, printed}


@pytest.mark.parametrize(("spec", "printed", "here"), rows("Metrics"))
def test_each_metric_is_registered_or_is_not_yet(spec: str, printed: str, here: str) -> None:
    """A metric of a specification is one of ours, or there is none of its name."""
    ours = [name for name in QUOTED.findall(here) if name.startswith("suture_")]

    assert ours or here == NOT_YET
    assert set(ours) <= metric_names()
    assert here != NOT_YET or not any(f"suture_{name}" in metric_names() for name in QUOTED.findall(printed))


def test_every_metric_of_ours_is_documented() -> None:
    """docs/metrics.md names what the product registers, no more and no less."""
    documented = set(re.findall(r"\bsuture_[a-z_]+", (ROOT / "docs" / "metrics.md").read_text()))

    assert documented == metric_names()
