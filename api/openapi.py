"""Writes the committed OpenAPI document anew: `python -m api.openapi`."""

import json
from pathlib import Path

from api.app import document, routed

COMMITTED = Path(__file__).parent.parent / "docs" / "openapi.json"


def text() -> str:
    """The document of the routes as they are, as it is committed."""
    return json.dumps(document(routed()), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    COMMITTED.parent.mkdir(exist_ok=True)
    COMMITTED.write_text(text())
