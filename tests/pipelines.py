"""Small real pipelines for tests: two stages whose code is a few lines, stored and run like any other."""

import tempfile
from pathlib import Path

from domain.identity import Caller
from domain.pipeline import PipelineSpec
from domain.versions import Pipeline
from services.registry import Services

CODE = {
    "read.py": """
        import json, os, pathlib
        config = json.loads(pathlib.Path(os.environ["SUTURE_CONFIG"]).read_text())
        pathlib.Path(os.environ["SUTURE_OUTPUTS"], "rows.csv").write_text("time,value\\n1,2\\n")
    """,
    "check.py": """
        import json, os, pathlib, sys
        config = json.loads(pathlib.Path(os.environ["SUTURE_CONFIG"]).read_text())
        header = pathlib.Path(os.environ["SUTURE_INPUTS"], "read", "rows.csv").read_text().splitlines()[0].split(",")
        if config["column"] not in header:
            sys.exit(f"column '{config['column']}' not found; present: {', '.join(header)}")
        pathlib.Path(os.environ["SUTURE_OUTPUTS"], "ok").write_text("ok")
    """,
}


def a_spec(*, name: str = "orders", environment: str = "prod", heal_within: str = "24h", column: str = "value") -> PipelineSpec:
    """Two stages: one writes two columns, the other wants one of them."""
    return PipelineSpec.model_validate(
        {
            "pipeline": name,
            "environment": environment,
            "owner": "data-platform",
            "code": "./src",
            "heal_within": heal_within,
            "config": {"column": column},
            "stages": [
                {"name": "read", "run": ["python", "-m", "read"], "timeout": "20s", "dry_run": True},
                {
                    "name": "check",
                    "run": ["python", "-m", "check"],
                    "needs": ["read"],
                    "uses": ["column"],
                    "timeout": "20s",
                    "dry_run": True,
                },
            ],
        }
    )


async def apply(services: Services, caller: Caller, spec: PipelineSpec, files: dict[str, str] | None = None) -> Pipeline:
    """Store `files` as the pipeline's code and apply `spec`."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (files or CODE).items():
            lines = text.strip("\n").splitlines()
            indent = len(lines[0]) - len(lines[0].lstrip())
            Path(folder, name).write_text("\n".join(line[indent:] for line in lines) + "\n")
        code = await services.blobs.put_tree(Path(folder))
    return await services.pipelines.apply(caller, spec, code)
