"""What people and programs read: a table, JSON or YAML; nothing that was stored can move the cursor of a terminal."""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNLIMITED = 400
_NOTHING = "-"

Item = Mapping[str, Any]
Column = str | Callable[[Item], object]
Columns = Mapping[str, Column]
"""Heading to field name, or to what makes the cell."""


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to show it.")]


def show_list(items: Sequence[Item], columns: Columns, output: Format) -> None:
    if output is not Format.TABLE:
        return structured(list(items), output)
    if not items:
        return typer.echo("nothing here yet", err=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for item in items:
        table.add_row(*(Text(cell(item, column)) for column in columns.values()))
    return _print(table)


def show_item(item: Item, columns: Columns, output: Format) -> None:
    """One thing, a field a line."""
    if output is not Format.TABLE:
        return structured(item, output)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for heading, column in columns.items():
        table.add_row(heading, Text(cell(item, column)))
    return _print(table)


def show_lines(lines: Sequence[str]) -> None:
    """Prose, a line as it is."""
    for line in lines:
        typer.echo(plain(line))


def structured(value: object, output: Format) -> None:
    """For programs; whatever is not ASCII is escaped."""
    if output is Format.YAML:
        return typer.echo(yaml.safe_dump(_bare(value), sort_keys=False).rstrip())
    return typer.echo(json.dumps(value, indent=2))


def cell(item: Item, column: Column) -> str:
    """A field as text, `-` for none."""
    return word(column(item) if callable(column) else item.get(column))


def word(value: object) -> str:
    match value:
        case None | "" | [] | {}:
            return _NOTHING
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(word(each) for each in value)
        case dict():
            return json.dumps(value, sort_keys=True)
        case float():
            return f"{value:.2f}"
    return plain(str(value))


def when(name: str) -> Callable[[Item], str]:
    """The time in the field `name`, to the second."""

    def made(item: Item) -> str:
        return moment(item.get(name))

    return made


def moment(value: object) -> str:
    if not isinstance(value, str):
        return _NOTHING
    return value[:19].replace("T", " ") + " UTC" if value.endswith(("Z", "+00:00")) else value


def plain(text: str) -> str:
    """The text with every character that prints nothing, or moves others about, written as its code; lines stay."""
    return "".join(each if each.isprintable() or each == "\n" else f"\\u{{{ord(each):x}}}" for each in text)


def console() -> Console:
    """Fits a terminal; a pipe gets whole lines. Rich honours NO_COLOR."""
    found = Console(highlight=False, emoji=False)
    return found if found.is_terminal else Console(highlight=False, emoji=False, width=_UNLIMITED)


def _print(table: Table) -> None:
    found = console()
    if found.is_terminal:
        return found.print(table)
    with found.capture() as captured:
        found.print(table)
    return typer.echo("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def _bare(value: object) -> object:
    return json.loads(json.dumps(value))
