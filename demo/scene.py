"""What every chapter of the story works with, and the few things that several of them do."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.client import Api, until
from demo.files import Material
from demo.people import Cast
from demo.target import Server, Target
from demo.workers import Pids
from domain.pipeline import PipelineSpec

FINAL = frozenset({"succeeded", "failed", "cancelled"})


@dataclass
class Scene:
    """`say` prints one line; `differ` collects what is not as the story says it should be."""

    cast: Cast
    material: Material
    target: Target
    server: Server
    workers: Pids
    season: str
    holds: Path
    say: Callable[[str], None]
    differences: list[str] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)

    def expect(self, truth: bool, sentence: str) -> None:
        if not truth:
            self.differences.append(sentence)
            self.say(f"  [red]differs:[/red] {sentence}")


async def apply(api: Api, spec: PipelineSpec, code: Path) -> dict[str, Any]:
    """Store the pipeline with the files below `code`."""
    files = await asyncio.to_thread(_files, code)
    body: dict[str, Any] = await api.post("/pipelines", {"spec": spec.model_dump(mode="json"), "code": files})
    return body


async def run(api: Api, pipeline: str) -> str:
    """Start a run and return its id."""
    return str((await api.post(f"/pipelines/{pipeline}/runs", {}))["id"])


async def ended(api: Api, execution: str, *, within: float = 60) -> dict[str, Any]:
    """The execution once it is over."""

    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await api.get(f"/executions/{execution}"))["execution"]
        return found if found["status"] in FINAL else None

    return await until(look, what=f"the end of run {execution}", within=within)


async def waiting(api: Api, execution: str) -> dict[str, Any]:
    """The execution once it waits for its incident."""

    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await api.get(f"/executions/{execution}"))["execution"]
        return found if found["status"] == "waiting" else None

    return await until(look, what=f"run {execution} to wait for its healing")


async def asked(api: Api, incident: str, *, plan: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The incident's plan and the open approval for it, as soon as people are asked."""

    async def look() -> tuple[dict[str, Any], dict[str, Any]] | None:
        for approval in await api.items("/approvals", status="open"):
            found = await api.get(f"/fix/plans/{approval['plan_id']}")
            if found["incident_id"] == incident and plan in {None, found["id"]}:
                return found, approval
        return None

    return await until(look, what="an approval to be asked for")


async def incident_is(api: Api, incident: str, *statuses: str) -> dict[str, Any]:
    """The incident once it has one of `statuses`."""

    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = await api.get(f"/incidents/{incident}")
        return found if found["status"] in statuses else None

    return await until(look, what=f"incident {incident} to be {' or '.join(statuses)}")


def _files(code: Path) -> dict[str, str]:
    """Every file below `code` by its relative path, in base64."""
    return {
        str(path.relative_to(code)): base64.b64encode(path.read_bytes()).decode()
        for path in sorted(code.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
