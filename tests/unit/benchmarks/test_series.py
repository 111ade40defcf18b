"""The benchmarks of series work on any folder of the documented form, with labels or without."""

import gzip
import json
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import cloud, nab
from benchmarks.series import series_in
from tests.unit.models.detectors.series import after, steady

ROWS = steady(300, step=timedelta(minutes=5))
ROWS = ROWS + after(ROWS, 500.0, 50.0, None, 51.0, step=timedelta(minutes=5))


def written(folder: Path, *, labelled: bool) -> Path:
    """One packed file in `folder`, whose only odd row is the 301st."""
    lines = ["TimeStamp,Value,Label" if labelled else "timestamp,value"]
    for number, (at, value) in enumerate(ROWS):
        label = f",{int(number == 300)}" if labelled else ""
        lines.append(f"{at:%Y-%m-%d %H:%M:%S},{'' if value is None else value}{label}")
    path = folder / "any-domain" / "some.name.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder


def run(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> dict[str, object]:
    """What the last line says that the benchmark prints."""
    monkeypatch.setattr("sys.argv", ["bench", *words])
    bench.main()
    result: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


@pytest.mark.parametrize("bench", [nab, cloud])
def test_without_labels_predictions_are_written_and_nothing_is_scored(bench, tmp_path, monkeypatch, capsys) -> None:
    """Each row gets a line with its number and score, beside the threshold; the last line has no figure."""
    data = written(tmp_path / "data", labelled=False)
    result = run(bench, monkeypatch, capsys, "--data", str(data), "--predictions", str(tmp_path / "out"))
    out = tmp_path / "out" / str(result["bench"])
    lines = [json.loads(line) for line in (out / "any-domain" / "some.name.jsonl").read_text().splitlines()]

    assert set(result) == {"bench", "threshold", "rows_per_s"}
    assert [line["row"] for line in lines] == list(range(len(ROWS)))
    assert json.loads((out / "threshold.json").read_text()) == {"threshold": result["threshold"]}
    assert max(lines, key=lambda line: line["score"])["row"] == 300


def test_labelled_events_are_scored(tmp_path, monkeypatch, capsys) -> None:
    """The one event is found and there is no other alarm."""
    data = written(tmp_path, labelled=True)

    assert run(cloud, monkeypatch, capsys, "--data", str(data))["f1"] == 1


def test_labelled_windows_are_scored(tmp_path, monkeypatch, capsys) -> None:
    """A window whose left edge is the odd row earns nearly all; its key may name the packed file."""
    data = written(tmp_path, labelled=False)
    windows = [[f"{ROWS[300][0]:%Y-%m-%d %H:%M:%S}", f"{ROWS[303][0]:%Y-%m-%d %H:%M:%S}"]]
    (data / "windows.json").write_text(json.dumps({"any-domain/some.name.csv.gz": windows}))

    score = run(nab, monkeypatch, capsys, "--data", str(data))["score"]

    assert isinstance(score, float)
    assert 90 < score <= 100


def test_labels_are_no_values(tmp_path) -> None:
    """A series keeps its labels apart, and none where there is no such column."""
    (labelled,) = series_in(written(tmp_path / "a", labelled=True))
    (bare,) = series_in(written(tmp_path / "b", labelled=False))

    assert labelled.values == bare.values
    assert bare.labels is None
    assert labelled.labels is not None
    assert sum(labelled.labels) == 1
