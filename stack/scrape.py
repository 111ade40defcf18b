"""Where each process of the product shows its metrics: ports that do not meet, and the file by which Prometheus finds them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stack import ports

SDK, OWN = "SUTURE_METRICS_PORT", "SUTURE_WORKER_METRICS_PORT"
_SHOWS = {SDK: "engine SDK", OWN: "worker"}

Pages = Mapping[str, Mapping[str, int]]
"""By process, the setting of each of its pages and its port."""


def choose_pages(workers: Sequence[str], *, first_sdk: int, first_own: int) -> Pages:
    """A free port for each page, from the first ones up or, where the first is 0, any; the API has its own behind its port."""
    sdk = [("api", SDK), *((name, SDK) for name in workers)]
    own = [(name, OWN) for name in workers]
    wanted = (*_from(first_sdk, len(sdk)), *_from(first_own, len(own)))
    found: dict[str, dict[str, int]] = {}
    for (process, setting), port in zip([*sdk, *own], ports.choose(*wanted), strict=True):
        found.setdefault(process, {})[setting] = port
    return found


def _from(first: int, count: int) -> Iterator[int]:
    return iter(range(first, first + count) if first else (0,) * count)


def write_targets(path: Path, pages: Pages, *, host: str, api: str) -> None:
    """Leave every page's address in the form that Prometheus reads as `file_sd_configs`."""
    targets = [_target("api", "API", api), *_targets(pages, host)]
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(targets, indent=1) + "\n")
    draft.replace(path)


def _targets(pages: Pages, host: str) -> Iterator[Mapping[str, object]]:
    for process, own in pages.items():
        for setting, port in own.items():
            yield _target(process, _SHOWS[setting], f"{host}:{port}")


def _target(process: str, page: str, where: str) -> Mapping[str, object]:
    return {"targets": [where], "labels": {"process": process, "page": page}}
