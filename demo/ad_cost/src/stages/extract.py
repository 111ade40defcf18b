"""Reads the series named in the config, from the stored code or from an address, and names their column after the metric."""

import csv
import io
import urllib.error
import urllib.request

from .contract import StageError, code, config, count_rows, require, run, write_rows

_PATIENCE_SECONDS = 10
_LARGEST = 16 * 1024 * 1024


def main() -> None:
    settings = config()
    total = 0
    for metric in settings["metrics"]:
        name = f"{settings['exchange']}_{metric}_results.csv"
        rows = list(csv.DictReader(io.StringIO(_text(settings["source"], name))))
        column = settings["value_column"]
        require(column, list(rows[0]) if rows else [], where=name)
        write_rows(f"{metric}.csv", ("timestamp", metric), ((row["timestamp"], row[column]) for row in rows))
        total += len(rows)
    count_rows(total)


def _text(source: str, name: str) -> str:
    if source.startswith(("http://", "https://")):
        return _fetched(source.rstrip("/") + "/" + name)
    try:
        return (code() / source / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StageError(f"no file {name} in {source}") from None


def _fetched(address: str) -> str:
    try:
        with urllib.request.build_opener().open(address, timeout=_PATIENCE_SECONDS) as answer:
            content: bytes = answer.read(_LARGEST + 1)
    except urllib.error.HTTPError as error:
        raise StageError(f"{address} answered {error.code} {error.reason}") from None
    except OSError as error:
        raise StageError(f"{address} is out of reach: {error}") from None
    if len(content) > _LARGEST:
        raise StageError(f"{address} sent more than {_LARGEST} bytes")
    return content.decode()


if __name__ == "__main__":
    run("extract", main)
