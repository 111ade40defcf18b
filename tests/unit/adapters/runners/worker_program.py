"""A worker of its own process for tests that kill or stop it: runs one stored stage and tells what happens, a line each."""

import asyncio
import json
import resource
import sys
from pathlib import Path

from adapters.blobs import DirectoryBlobs
from domain.errors import HealError
from domain.stage import StageCommand, SupervisorHandle
from tests.unit.adapters.runners.stage_builders import runner_at


async def main(place: Path, commands: list[str]) -> None:
    runner = runner_at(place, DirectoryBlobs(place / "blobs"), lease=1)

    async def started(handle: SupervisorHandle) -> None:
        tell(handle.model_dump_json())

    for command in commands:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            result = await runner.run(StageCommand.model_validate_json(command), {}, heartbeat=lambda: None, started=started)
        except HealError as refused:
            tell(json.dumps({"refused": refused.code}))
        else:
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
            tell(json.dumps({"grown": grown, "result": result.model_dump(mode="json")}))


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
