"""Rows that are easy to set apart from those learnt from: an isolation forest, kept as plain arrays.

It is grown by scikit-learn and scored here, one row in all trees at once, to the same number. A missing value is a value of
its own, below all that were seen. A score of 0.5 is what an average row of an endless history scores; `odd` is the 99.9 %
quantile of the rows learnt from.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from models.detectors.contract import Finding

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

QUANTILE = 0.999
TREES = 100
SAMPLE = 256
BLAMED = 3
_HUGE = 1e30
_SEED = 0


@dataclass(frozen=True)
class _Trees:
    """All nodes of all trees in a row. A leaf is its own child, and `length` is the path to it, zero elsewhere.

    `crowd` is the logarithm of how many rows a node held: what a cut takes off it is what the cut's metric is to blame for.
    """

    roots: NDArray[np.intp]
    feature: NDArray[np.intp]
    threshold: NDArray[np.float64]
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    length: NDArray[np.float64]
    crowd: NDArray[np.float64]
    depth: int
    usual: float
    absent: NDArray[np.float64]


class Forest:
    """A detector of rows that are odd as they stand, whatever came before them."""

    def __init__(self, metrics: Sequence[str], trees: _Trees, odd: float) -> None:
        self._metrics = tuple(metrics)
        self._trees = trees
        self.odd = odd

    @classmethod
    def fit(cls, rows: Sequence[Sequence[float | None]], metrics: Sequence[str]) -> Self:
        """Learn from `rows`, in any order.

        Raises:
            ValueError: there is no row, or the metrics are not as many as named.
        """
        from sklearn.ensemble import IsolationForest

        if not len(rows):
            raise ValueError("expected at least one row to learn from")
        raw = np.array([_numbers(row) for row in rows])
        if raw.shape[1] != len(metrics):
            raise ValueError(f"expected {len(metrics)} metrics, got {raw.shape[1]}")
        absent = _absent(raw)
        filled = np.where(np.isnan(raw), absent, raw)
        grown = IsolationForest(n_estimators=TREES, max_samples=min(SAMPLE, len(rows)), random_state=_SEED).fit(filled)
        forest = cls(metrics, _flat(grown, absent), 1.0)
        return cls(metrics, forest._trees, float(np.quantile(-grown.score_samples(filled), QUANTILE)))

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        if len(row) != len(self._metrics):
            raise ValueError(f"expected {len(self._metrics)} values, one for each metric, got {len(row)}")
        trees = self._trees
        path = self._descend(_numbers(row))
        lengths = trees.length[path[-1]]
        score = float(2.0 ** (-lengths.mean() / trees.usual)) if trees.usual else 0.5
        crowd = trees.crowd[path]
        blame = np.bincount(trees.feature[path[:-1]].ravel(), weights=(crowd[:-1] - crowd[1:]).ravel(), minlength=len(row))
        blamed = tuple(self._metrics[metric] for metric in np.argsort(-blame, kind="stable")[:BLAMED] if blame[metric] > 0)
        reasons = (f"a row this odd is set apart after {lengths.mean():.1f} cuts",) if score > self.odd else ()
        return Finding(score=min(score, 1.0), reasons=reasons, metrics=blamed)

    def state(self) -> dict[str, JsonValue]:
        trees = {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(self._trees).items()
        }
        return {"metrics": list(self._metrics), "odd": self.odd, "trees": trees}

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        kept: dict[str, Any] = dict(state)
        nodes = {name: np.array(value, dtype=_KINDS[name]) for name, value in kept["trees"].items() if name in _KINDS}
        return cls(kept["metrics"], _Trees(**(kept["trees"] | nodes)), kept["odd"])

    def _descend(self, numbers: NDArray[np.float64]) -> NDArray[np.intp]:
        """The nodes that the row comes by, tree by tree, from the roots to the leaves."""
        trees = self._trees
        row = np.where(np.isnan(numbers), trees.absent, numbers).astype(np.float32)
        path = np.empty((trees.depth + 1, len(trees.roots)), dtype=np.intp)
        path[0] = trees.roots
        for level, node in enumerate(path[:-1]):
            path[level + 1] = np.where(row[trees.feature[node]] <= trees.threshold[node], trees.left[node], trees.right[node])
        return path


_KINDS = {
    "roots": np.intp,
    "feature": np.intp,
    "threshold": float,
    "left": np.intp,
    "right": np.intp,
    "length": float,
    "crowd": float,
    "absent": float,
}


def _numbers(row: Sequence[float | None] | NDArray[np.float64]) -> NDArray[np.float64]:
    """`row` with NaN for whatever is missing or no number."""
    numbers = np.array([np.nan if value is None else value for value in row], dtype=float)
    return np.where(np.isfinite(numbers), np.clip(numbers, -_HUGE, _HUGE), np.nan)


def _absent(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """What stands for a missing value: as far below the lowest of its metric as that is below the highest."""
    seen = [column[~np.isnan(column)] for column in raw.T]
    return np.array([2 * column.min() - column.max() - 1 if len(column) else -1.0 for column in seen])


def _flat(grown: "IsolationForest", absent: NDArray[np.float64]) -> _Trees:
    trees = [estimator.tree_ for estimator in grown.estimators_]
    starts = np.concatenate([[0], np.cumsum([tree.node_count for tree in trees])])[:-1]
    leaf = np.concatenate([tree.children_left == -1 for tree in trees])
    own = np.arange(len(leaf))
    steps = np.concatenate([_steps(tree.children_left, tree.children_right) for tree in trees])
    size = np.concatenate([tree.n_node_samples for tree in trees])
    left, right = (
        np.concatenate([getattr(tree, side) + start for tree, start in zip(trees, starts, strict=True)])
        for side in ("children_left", "children_right")
    )
    return _Trees(
        roots=starts.astype(np.intp),
        feature=np.where(leaf, 0, np.concatenate([tree.feature for tree in trees])).astype(np.intp),
        threshold=np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
        left=np.where(leaf, own, left).astype(np.intp),
        right=np.where(leaf, own, right).astype(np.intp),
        length=np.where(leaf, steps + _usual_length(size), 0.0),
        crowd=np.log(size),
        depth=int(steps.max()),
        usual=float(_usual_length(np.array([grown.max_samples_]))[0]),
        absent=absent,
    )


def _steps(left: NDArray[np.intp], right: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many cuts lead to each node; a child always comes after its parent."""
    steps = np.zeros(len(left), dtype=np.intp)
    for node in np.flatnonzero(left != -1):
        steps[[left[node], right[node]]] = steps[node] + 1
    return steps


def _usual_length(size: NDArray[np.intp]) -> NDArray[np.float64]:
    """How many more cuts it takes, on average, to set one of `size` rows apart."""
    many = np.maximum(size, 3).astype(float)
    length = 2.0 * (np.log(many - 1.0) + np.euler_gamma) - 2.0 * (many - 1.0) / many
    return np.where(size <= 1, 0.0, np.where(size == 2, 1.0, length))
