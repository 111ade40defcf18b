"""How much personal data redaction finds, what it takes that is none, and how fast it is.

Run as `python -m benchmarks.redaction`; `--data DIR` holds marked sentences, `--logs DIR` log files with tokens in them, and
`--predictions OUT` gets a file per file of sentences. The rules see texts alone; the marks are read only to score.
"""

import argparse
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.redaction import Redactor
from benchmarks.files import SHARED, content_of
from benchmarks.redaction_lines import CLEAN_SHARE, clean_lines, mixed_lines

RECALL_BAR, OVER_BAR, SPEED_BAR = 0.98, 0.002, 30_000
STRUCTURED = (
    "EMAIL_ADDRESS",
    "CREDIT_CARD",
    "IBAN_CODE",
    "IP_ADDRESS",
    "US_SSN",
    "PHONE_NUMBER",
    "DOMAIN_NAME",
    "US_DRIVER_LICENSE",
    "ZIP_CODE",
)
COVERED = 0.9
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}")
_LINES, _ROUNDS = 20_000, 5

Spans = list[tuple[int, int, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "pii_text")
    parser.add_argument("--logs", type=Path, default=SHARED / "nezha")
    parser.add_argument("--predictions", type=Path)
    chosen = parser.parse_args()
    redactor = Redactor.for_org(b"a key for benchmarks alone")
    score = Score()
    for file in _files(chosen.data, ".json"):
        sentences = json.loads(_opened(file))
        predicted = [redactor.found(each["text"]) for each in sentences]
        _write(chosen.predictions, file, predicted)
        for sentence, spans in zip(sentences, predicted, strict=True):
            score.add(sentence["text"], sentence.get("spans", ()), spans)
    tokens, left = _tokens(redactor, chosen.logs)
    mixed, clean = (_speed(redactor, lines) for lines in (mixed_lines(_LINES), clean_lines(_LINES)))
    _print(score, tokens=tokens, left=left, mixed=mixed, clean=clean)


@dataclass
class Score:
    """Marked spans and those of them that are covered, by type; characters outside every mark and those redacted."""

    marked: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    outside: int = 0
    over: int = 0

    def add(self, text: str, marks: Sequence[dict[str, Any]], spans: Spans) -> None:
        redacted = {at for start, end, _ in spans for at in range(start, end)}
        inside: set[int] = set()
        for mark in marks:
            its = range(mark["start"], mark["end"])
            inside.update(its)
            self.marked[mark["type"]] += 1
            self.caught[mark["type"]] += len(redacted.intersection(its)) >= COVERED * len(its)
        self.outside += len(text) - len(inside)
        self.over += len(redacted - inside)

    @property
    def recall(self) -> float:
        return sum(self.caught[each] for each in STRUCTURED) / max(1, sum(self.marked[each] for each in STRUCTURED))

    @property
    def over_redaction(self) -> float:
        return self.over / max(1, self.outside)


def _files(folder: Path, kind: str) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if _plain_name(each).endswith(kind)) if folder.is_dir() else []


def _plain_name(file: Path) -> str:
    return file.name.removesuffix(".gz").removesuffix(".xz")


def _opened(file: Path) -> str:
    return content_of(file).decode("utf-8", "replace")


def _write(out: Path | None, file: Path, predicted: Sequence[Spans]) -> None:
    if out is None:
        return
    target = out / "redaction" / f"{_plain_name(file).removesuffix('.json')}.jsonl"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(json.dumps({"index": index, "spans": spans}) + "\n" for index, spans in enumerate(predicted)))


def _tokens(redactor: Redactor, folder: Path) -> tuple[int, int]:
    """JSON web tokens in the logs as they came, and after redaction."""
    before = after = 0
    for line in (line for file in _files(folder, "") if _is_log(file) for line in _opened(file).splitlines()):
        if found := len(_TOKEN.findall(line)):
            before += found
            after += len(_TOKEN.findall(redactor.text(line)))
    return before, after


def _is_log(file: Path) -> bool:
    return file.is_file() and "log" in f"{file.parent.name}/{file.name}"


def _speed(redactor: Redactor, lines: Sequence[str]) -> float:
    """Lines per second of processor time, the median of several rounds."""
    return statistics.median(len(lines) / _seconds(redactor, lines) for _ in range(_ROUNDS))


def _seconds(redactor: Redactor, lines: Sequence[str]) -> float:
    began = time.process_time()
    for line in lines:
        redactor.text(line)
    return time.process_time() - began


def _print(score: Score, *, tokens: int, left: int, mixed: float, clean: float) -> None:
    for line in _table(score):
        print(line)
    print(f"recall of structured types {score.recall:.4f} (bar {RECALL_BAR})")
    print(f"share of other text redacted {score.over_redaction:.5f} (bar {OVER_BAR})")
    print(f"web tokens in the logs: {tokens} before, {left} after")
    print(f"lines/s on one core: {mixed:,.0f} with {1 - CLEAN_SHARE:.0%} hits (bar {SPEED_BAR:,}), {clean:,.0f} clean")
    figures = {"recall": round(score.recall, 4), "over_redaction": round(score.over_redaction, 6), "jwts_left": left}
    print(json.dumps({"bench": "redaction", **figures, "lines_per_s": round(mixed), "clean_lines_per_s": round(clean)}))


def _table(score: Score) -> Iterator[str]:
    yield f"{'type':<20}{'marked':>8}{'caught':>8}"
    for each, marked in score.marked.most_common():
        yield f"{each:<20}{marked:>8}{score.caught[each]:>8}{'' if each in STRUCTURED else '  (free text, not scored)'}"


if __name__ == "__main__":
    main()
