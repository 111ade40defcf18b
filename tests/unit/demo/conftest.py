"""Starts stages the way the contract says, and a real PostgreSQL for those that write."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from adapters.pipeline_file import load
from domain.pipeline import PipelineSpec, StageSpec, step_version, used_config
from stack.postgres import Postgres, PostgresAddress

ROOT = Path(__file__).parents[3]


class Bench:
    """One run of a pipeline without an engine: each stage a subprocess, its outputs the next one's inputs."""

    def __init__(self, folder: Path, pipeline: Path) -> None:
        self.file = pipeline
        self.spec = load(pipeline.read_text(encoding="utf-8"), file=pipeline.name)
        self.run = uuid4().hex
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def configure(self, **config: Any) -> None:
        self.spec = PipelineSpec.model_validate({**self.spec.model_dump(), "config": {**self.spec.config, **config}})

    def stage(self, name: str) -> StageSpec:
        return next(stage for stage in self.spec.stages if stage.name == name)

    def step_key(self, name: str) -> str:
        return f"{self.run}/{name}"

    def outputs(self, name: str) -> Path:
        return self._folder / "outputs" / name

    def rows(self, name: str) -> int:
        count: int = json.loads((self.outputs(name) / ".metrics.json").read_text())["rows"]
        return count

    def popen(
        self, name: str, *, secrets: Mapping[str, str], probe: bool = False, dry_run: bool = False
    ) -> subprocess.Popen[str]:
        stage = self.stage(name)
        argv = [*((stage.probe if probe else None) or stage.run)]
        argv[0] = sys.executable
        empty = self._folder / f"cwd-{uuid4().hex}"
        empty.mkdir()
        environment = self._environment(stage, secrets) | ({"SUTURE_DRY_RUN": "1"} if dry_run else {})
        process = subprocess.Popen(
            argv, env=environment, cwd=empty, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """Nothing that a failed test started outlives it."""
        for process in self._started:
            process.kill()
            process.communicate(timeout=10)

    def start(
        self, name: str, *, secrets: Mapping[str, str] | None = None, probe: bool = False, dry_run: bool = False
    ) -> tuple[int, str]:
        """The exit code and the output of the stage."""
        process = self.popen(name, secrets=secrets or {}, probe=probe, dry_run=dry_run)
        said, _ = process.communicate(timeout=30)
        return process.returncode, said

    def start_until(self, name: str) -> None:
        """Start all stages before `name`, which must all pass."""
        for stage in self.spec.order:
            if stage.name == name:
                return
            assert self.start(stage.name) == (0, "")

    def _environment(self, stage: StageSpec, secrets: Mapping[str, str]) -> dict[str, str]:
        code = (self.file.parent / self.spec.code).resolve()
        told = self._folder / "told" / stage.name
        told.mkdir(parents=True, exist_ok=True)
        (told / "config.json").write_text(json.dumps(used_config(stage, self.spec.config)))
        for secret, value in secrets.items():
            (told / secret).write_text(value)
        self.outputs(stage.name).mkdir(parents=True, exist_ok=True)
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(code),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SUTURE_CODE": str(code),
            "SUTURE_CONFIG": str(told / "config.json"),
            "SUTURE_INPUTS": str(self._folder / "outputs"),
            "SUTURE_OUTPUTS": str(self.outputs(stage.name)),
            "SUTURE_SECRETS": str(told),
            "SUTURE_STEP_KEY": self.step_key(stage.name),
            "SUTURE_STEP_VERSION": step_version(stage, self.spec.config),
        }


class Target:
    """A fresh database with the tables of one pipeline, an owner and a role that can only read."""

    def __init__(self, address: PostgresAddress, name: str) -> None:
        self._address, self._name = address, name

    @property
    def dsn(self) -> str:
        return self._dsn(self._address.user, self._address.password.get_secret_value())

    @property
    def dsn_readonly(self) -> str:
        return self._dsn("reader", "reader")

    async def create(self, tables: Path) -> None:
        server = await asyncpg.connect(self._dsn(self._address.user, self._address.password.get_secret_value(), "postgres"))
        await server.execute(f"create database {self._name}")
        with suppress(asyncpg.DuplicateObjectError):
            await server.execute("create role reader login password 'reader'")
        await server.close()
        own = await asyncpg.connect(self.dsn)
        await own.execute(tables.read_text(encoding="utf-8"))
        await own.execute("grant select on all tables in schema public to reader")
        await own.close()

    async def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    def _dsn(self, user: str, password: str, name: str = "") -> str:
        return f"postgresql://{user}:{password}@/{name or self._name}?host={self._address.host}&port={self._address.port}"


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresAddress]:
    """A server of our own for the whole session."""
    server = Postgres(tmp_path_factory.mktemp("demo-postgres"), durable=False)
    await server.prepare()
    spec = server.spec()
    groups: list[int] | None = None if spec.uid is None else []
    process = subprocess.Popen(
        spec.argv, env=spec.env, cwd=spec.cwd, stderr=subprocess.DEVNULL, user=spec.uid, group=spec.uid, extra_groups=groups
    )
    try:
        async with asyncio.timeout(30):
            while not await server.is_ready():
                await asyncio.sleep(0.05)
        yield server.address
    finally:
        os.kill(process.pid, spec.stop)
        process.wait(30)
        server.clean()


async def a_target(postgres: PostgresAddress, tables: Path) -> Target:
    target = Target(postgres, f"target_{uuid4().hex}")
    await target.create(tables)
    return target


@pytest.fixture
async def target_database(postgres: PostgresAddress) -> Target:
    """The target of ad-cost."""
    return await a_target(postgres, ROOT / "demo/ad_cost/target.sql")


@pytest.fixture
async def hours_database(postgres: PostgresAddress) -> Target:
    """The target of cpu-load."""
    return await a_target(postgres, ROOT / "tests/fixtures/cpu_load/target.sql")


def a_bench(folder: Path, pipeline: str) -> Iterator[Bench]:
    bench = Bench(folder, ROOT / pipeline)
    yield bench
    bench.end()


@pytest.fixture
def ad_cost(tmp_path: Path) -> Iterator[Bench]:
    yield from a_bench(tmp_path, "demo/ad_cost/pipeline.yaml")


@pytest.fixture
def ad_feed(tmp_path: Path) -> Iterator[Bench]:
    yield from a_bench(tmp_path, "demo/ad_cost/pipeline-dev.yaml")


@pytest.fixture
def cpu_load(tmp_path: Path) -> Iterator[Bench]:
    yield from a_bench(tmp_path, "tests/fixtures/cpu_load/pipeline.yaml")
