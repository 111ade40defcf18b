"""Read labelled data as it lies in its folder: CSV, plain or compressed."""

import csv
import gzip
import io
import lzma
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
csv.field_size_limit(sys.maxsize)


def text_of(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(_opened(path), encoding="utf-8", errors="replace", newline="")


def content_of(path: Path) -> bytes:
    with _opened(path) as file:
        return file.read()


def rows(path: Path) -> Iterator[dict[str, str]]:
    with text_of(path) as file:
        yield from csv.DictReader(file)


def lines(path: Path) -> list[str]:
    with text_of(path) as file:
        return file.read().splitlines()


def _opened(path: Path) -> BinaryIO:
    match path.suffix:
        case ".gz":
            return cast(BinaryIO, gzip.open(path, "rb"))
        case ".xz":
            return cast(BinaryIO, lzma.open(path, "rb"))
        case _:
            return path.open("rb")
