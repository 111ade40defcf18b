"""How well fresh departures are found on series with anomaly windows: the NAB score at a threshold fixed beforehand.

Run as `python -m benchmarks.nab --data DIR --predictions OUT`. `DIR` holds `<category>/<file>.csv` and, when there are labels,
`windows.json`; without it the predictions are only written. Labels are read after every row is scored.
"""

import argparse
import json
from datetime import datetime
from pathlib import Path

from benchmarks.scoring.nab import Windows, tally
from benchmarks.series import Series, moment, scored, series_in, write
from models.detectors.departure import Departure

THRESHOLD = 0.545
_DATA = Path("../shared/data/nab")

Labels = dict[str, list[tuple[datetime, datetime]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA)
    parser.add_argument("--predictions", type=Path)
    options = parser.parse_args()
    all_series = list(series_in(options.data))
    found, speed = scored(all_series, Departure)
    if options.predictions:
        write(options.predictions / "nab", found, THRESHOLD)
    result: dict[str, str | float] = {"bench": "nab", "threshold": THRESHOLD, "rows_per_s": round(speed)}
    if labels := _labels(options.data / "windows.json"):
        result["score"] = round(_report(all_series, found, labels), 2)
    print(json.dumps(result))


def _labels(path: Path) -> Labels:
    """The windows of each file by its name without what compresses it; none when there is no such file."""
    if not path.is_file():
        return {}
    written = json.loads(path.read_text())
    return {
        name.removesuffix(".gz").removesuffix(".xz"): [(moment(first), moment(last)) for first, last in windows]
        for name, windows in written.items()
    }


def _report(all_series: list[Series], found: dict[str, list[float]], labels: Labels) -> float:
    """The score over all files, after a table of what each category comes to."""
    windows = [(one.folder, Windows(one.times, found[one.name], labels.get(one.name, []))) for one in all_series]
    print(f"{'category':<24}{'files':>6}{'windows':>9}{'found':>7}{'false rows':>12}{'score':>8}")
    for folder in sorted({folder for folder, _ in windows}):
        _line(folder, [each for other, each in windows if other == folder])
    return _line("all", [each for _, each in windows])


def _line(name: str, windows: list[Windows]) -> float:
    of_all = tally(windows, THRESHOLD)
    score = of_all.score if of_all.everything else float("nan")
    print(
        f"{name:<24}{len(windows):>6}{of_all.everything:>9.0f}{of_all.found:>7}{of_all.false_rows:>12}{score:>8.1f}", flush=True
    )
    return score


if __name__ == "__main__":
    main()
