"""Writes the joined rows into the target database, once for each step key; `--probe` says whether that has happened."""

import asyncio
import hashlib
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from .contract import Row, StageError, config, count_rows, inputs, is_dry_run, outputs, read_rows, require, run, secret
from .hold import hold

_DONE, _NOT_DONE, _UNKNOWN = 0, 3, 1
_LOCK = "select pg_advisory_xact_lock($1)"
_FOUND = "select step_version from effects where step_key = $1"


def main() -> None:
    rows = _rows()
    asyncio.run(_check() if is_dry_run() else _load(rows))
    _report(rows)


def probe() -> int:
    answer = asyncio.run(_probe())
    if answer == _DONE:
        _report(_rows())
    return answer


def _rows() -> list[Row]:
    column = config()["load_column"]
    columns, rows = read_rows(inputs("join") / "joined.csv")
    require(column, columns, where="join output")
    return rows


def _records(rows: list[Row]) -> list[tuple[object, ...]]:
    key, column = os.environ["SUTURE_STEP_KEY"], config()["load_column"]
    return [
        (
            key,
            datetime.fromisoformat(row["hour"]),
            float(row["cost_per_click"]),
            float(row["cost_per_mille"]),
            float(row[column]),
        )
        for row in rows
    ]


async def _load(rows: list[Row]) -> None:
    key, version = os.environ["SUTURE_STEP_KEY"], os.environ["SUTURE_STEP_VERSION"]
    target = await _target()
    await hold("before_transaction")
    async with target.transaction():
        await target.execute(_LOCK, _lock_number(key))
        if [found["step_version"] for found in await target.fetch(_FOUND, key)] != [version]:
            await target.execute("delete from ad_cost where step_key = $1", key)
            await target.execute("delete from effects where step_key = $1", key)
            await target.copy_records_to_table("ad_cost", records=_records(rows))
            await target.execute(
                "insert into effects (step_key, step_version, pid) values ($1, $2, $3)", key, version, os.getpid()
            )
        await hold("inside_transaction")
    await hold("after_commit")
    await target.close()


async def _check() -> None:
    target = await _target()
    await target.fetch("select from ad_cost limit 1")
    await target.close()


async def _probe() -> int:
    """The lock is free only once a commit in flight is over, so what is read under it is final."""
    target = await _target()
    async with target.transaction():
        await target.execute(_LOCK, _lock_number(os.environ["SUTURE_STEP_KEY"]))
        found = [row["step_version"] for row in await target.fetch(_FOUND, os.environ["SUTURE_STEP_KEY"])]
    await target.close()
    if len(found) > 1:
        return _UNKNOWN
    return _DONE if found == [os.environ["SUTURE_STEP_VERSION"]] else _NOT_DONE


async def _target() -> Any:
    name = "target_dsn_readonly" if is_dry_run() else "target_dsn"
    try:
        return await asyncpg.connect(secret(name), timeout=10, command_timeout=60)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise StageError(f"the target database does not let us in: {type(error).__name__}") from None


def _lock_number(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], signed=True)


def _report(rows: list[Row]) -> None:
    content = {"rows": len(rows), "step_version": os.environ["SUTURE_STEP_VERSION"]}
    Path(outputs() / "loaded.json").write_text(json.dumps(content), encoding="utf-8")
    count_rows(len(rows))


if __name__ == "__main__":
    run("load", (lambda: sys.exit(probe())) if "--probe" in sys.argv[1:] else main)
