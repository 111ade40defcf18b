"""Every page of `docs/connect`, followed to the letter: its blocks are run, and what it says comes true."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.api.pages import blocks, filled, run
from tests.api.site import Person
from tests.unit.adapters.sources.pages import EXAMPLES, PAGES, SHOWN, sentence


async def events(someone: Person) -> list[dict[str, Any]]:
    items = (await someone.get("/events")).json()["items"]
    return [{name: each[name] for name in SHOWN if each[name] is not None} for each in items]


@pytest.mark.parametrize("kind", EXAMPLES)
async def test_a_page_does_what_it_says(kind: str, served: str, someone: Person, tmp_path: Path) -> None:
    """Its connector is made, its request sent; the answer, the signal and the incident are those on the page."""
    page = f"{kind}.md"
    text, making, sending = (PAGES / page).read_text(), blocks(page, "sh")[0], blocks(page, "sh")[-1]

    env = {"SUTURE_API_URL": served.removesuffix("/api/v1"), "SUTURE_TOKEN": someone.token}
    made = json.loads(await run(making, tmp_path, **env))
    answer = await run(filled(sending, served, made), tmp_path, **env)

    assert f"`{answer}`" in text
    assert [json.loads(blocks(page, "json")[-1])] == await events(someone)
    incidents = (await someone.get("/incidents")).json()["items"]
    told = [sentence(each["service"], each["title"]) for each in incidents] or ["It opens no incident."]
    assert re.findall("^It opens .*", text, re.MULTILINE) == told
