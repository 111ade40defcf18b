"""How well odd values are found on series whose odd rows are labelled: event F1 at a threshold fixed beforehand.

Run as `python -m benchmarks.cloud --data DIR --predictions OUT`. `DIR` holds `<domain>/<file>.csv`; without a Label column the
predictions are only written. Labels play no part in scoring a row.
"""

import argparse
import json
from pathlib import Path

from benchmarks.scoring.events import UNSCORED, Counts, counts
from benchmarks.series import Series, scored, series_in, write
from models.detectors.outlier import Outlier

THRESHOLD = 0.66
_DATA = Path("../shared/data/cloud_monitoring")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA)
    parser.add_argument("--predictions", type=Path)
    options = parser.parse_args()
    all_series = list(series_in(options.data))
    found, speed = scored(all_series, Outlier)
    if options.predictions:
        write(options.predictions / "cloud", found, THRESHOLD)
    result: dict[str, str | float] = {"bench": "cloud", "threshold": THRESHOLD, "rows_per_s": round(speed)}
    if any(series.labels is not None for series in all_series):
        result["f1"] = round(_report(all_series, found), 4)
    print(json.dumps(result))


def _report(all_series: list[Series], found: dict[str, list[float]]) -> float:
    """F1 over all labelled files, after a table of what each domain comes to."""
    of_each: dict[str, Counts] = {}
    for series in all_series:
        if series.labels is not None:
            start = int(UNSCORED * len(series.labels))
            known = counts(found[series.name], series.labels, threshold=THRESHOLD, start=start)
            of_each[series.folder] = of_each.get(series.folder, Counts()) + known
    print(f"{'domain':<40}{'events':>7}{'found':>7}{'alarms':>8}{'false':>7}{'precision':>11}{'recall':>8}{'F1':>7}")
    for folder, each in of_each.items():
        _line(folder, each)
    return _line("all", sum(of_each.values(), start=Counts()))


def _line(name: str, of_all: Counts) -> float:
    print(
        f"{name:<40}{of_all.events:>7}{of_all.found:>7}{of_all.alarms:>8}{of_all.false:>7}"
        f"{of_all.precision:>11.3f}{of_all.recall:>8.3f}{of_all.f1:>7.3f}"
    )
    return of_all.f1


if __name__ == "__main__":
    main()
