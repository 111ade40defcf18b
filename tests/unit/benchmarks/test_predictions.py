"""The benchmarks of servers and sessions on folders of any names, with labels and without."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import servers, sessions


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, np.ndarray]:
    rows = np.random.default_rng(0).normal(size=(900, 4))
    rows[[200, 400], 0] += 12
    rows[800:810, 1] += 30
    return {"train": rows[:600], "test": rows[600:], "label": (np.arange(300) // 10 == 20).astype(int)}


def test_labels_change_the_figures_and_no_prediction(tmp_path, machine, capsys):
    """The files are the same whether or not anybody labelled the machine."""
    labelled, plain = tmp_path / "labelled", tmp_path / "plain"
    (labelled / "interpretation").mkdir(parents=True)
    plain.mkdir()
    np.savez(labelled / "box-7.npz", **machine)
    (labelled / "interpretation" / "box-7.txt").write_text("200-209:2,3\n")
    np.savez(plain / "box-7.npz", train=machine["train"], test=machine["test"])
    servers.show(servers.measure(labelled, tmp_path / "one"))
    known = json.loads(capsys.readouterr().out.splitlines()[-1])
    servers.show(servers.measure(plain, tmp_path / "two"))
    unknown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (known["f1_box"], known["why_at_3"]) == (1.0, 1.0)
    assert (unknown["f1_box"], unknown["why_at_3"]) == (None, None)
    written = [(tmp_path / out / "servers" / "box-7.jsonl").read_text() for out in ("one", "two")]
    assert written[0] == written[1]
    assert [json.loads(line)["row"] for line in written[0].splitlines()] == list(range(300))
    assert json.loads((tmp_path / "one" / "servers" / "threshold.json").read_text()) == {"threshold": 0.5}


def test_a_packed_machine_is_read(tmp_path, machine):
    """A name that ends in .gz is that file compressed."""
    np.savez(tmp_path / "plain.npz", **machine)
    (tmp_path / "box.npz.gz").write_bytes(gzip.compress((tmp_path / "plain.npz").read_bytes()))
    assert [name for name, _ in servers.machines(tmp_path)] == ["box", "plain"]


def test_sessions_are_predicted_without_labels(tmp_path, capsys):
    """What is learnt from lies in a folder of its own; the same rows get the same scores with labels and without."""
    fit, labelled, plain = (tmp_path / name for name in ("fit", "labelled", "plain"))
    for folder, lines in {
        fit: ["sequence,label", *["1 2 3,0"] * 50, "1 3,1"],
        labelled: ["sequence,label", "1 2 3,0", "1 2,1"],
        plain: ["sequence", "1 2 3", "1 2"],
    }.items():
        folder.mkdir()
        (folder / "any.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    figures = []
    for folder in (labelled, plain):
        sessions.measure(folder, fit, tmp_path / f"of {folder.name}", seed=0)
        figures.append(json.loads(capsys.readouterr().out.splitlines()[-1])["f1"])
    written = [(tmp_path / f"of {name}" / "sessions.jsonl").read_text() for name in ("labelled", "plain")]
    assert figures == [1.0, None]
    assert written[0] == written[1]
    assert [json.loads(line)["anomalous"] for line in written[0].splitlines()] == [False, True]
