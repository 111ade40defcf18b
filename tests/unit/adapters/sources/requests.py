"""The fixtures of `tests/fixtures/inbound` as requests, and what became of each when somebody last looked.

Run as a program it writes the latter anew: `python -m tests.unit.adapters.sources.requests`.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.sources import SOURCES
from domain.inbound import Inbound, Parsed
from services.ports import Source

FIXTURES = Path(__file__).parents[3] / "fixtures" / "inbound"
SECRET = "the-secret-of-the-fixtures"
ARRIVED = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
BY_KIND: dict[str, Source] = {source.kind: source for source in SOURCES}


@dataclass(frozen=True)
class Case:
    """One fixture: `kind/name`."""

    kind: str
    name: str

    @property
    def index(self) -> dict[str, Any]:
        return json.loads((FIXTURES / self.kind / f"{self.name}.headers.json").read_text())

    @property
    def body(self) -> bytes:
        (path,) = (path for ext in ("json", "bin") if (path := FIXTURES / self.kind / f"{self.name}.{ext}").exists())
        return path.read_bytes()

    @property
    def source(self) -> Source:
        return BY_KIND[self.kind]

    def inbound(self, **changes: Any) -> Inbound:
        index = self.index
        said = {"headers": index["headers"], "tail": index.get("tail", ""), "body": self.body, "arrived": ARRIVED}
        return Inbound(**said | changes)

    def parse(self, **changes: Any) -> Parsed:
        return self.source.parse(self.inbound(**changes), self.index.get("config", {}))

    @property
    def expected(self) -> Path:
        return FIXTURES / self.kind / f"{self.name}.parsed.json"

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


CASES = [Case(path.parent.name, path.name.removesuffix(".headers.json")) for path in sorted(FIXTURES.glob("*/*.headers.json"))]


def case(named: str) -> Case:
    kind, _, name = named.partition("/")
    return Case(kind, name)


def written(parsed: Parsed) -> str:
    """What a request holds, for people."""
    nothing = {"left_out"} if not parsed.left_out else set()
    return json.dumps(parsed.model_dump(mode="json", exclude_none=True, exclude=nothing), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in CASES:
        each.expected.write_text(written(each.parse()))
