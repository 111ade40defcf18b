"""Measures of log clustering (Zhu et al. 2019, Khan et al. 2022): GA, FGA and PA."""

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

_MARK = re.compile(r"<[^<> ]*>")
_RUN = re.compile(r"(<\*>[\s,.:;=/@#-]*)+")
_SPACE = re.compile(r"\s+")


class Grouping(NamedTuple):
    """`ga`: share of lines whose group is exactly a true one; `fga`: F1 of groups."""

    ga: float
    fga: float


def grouping(true: Sequence[Hashable], found: Sequence[Hashable]) -> Grouping:
    wanted, groups = _members(true), _members(found)
    exact = {tuple(each) for each in wanted.values()} & {tuple(each) for each in groups.values()}
    precision, recall = len(exact) / len(groups), len(exact) / len(wanted)
    fga = 2 * precision * recall / (precision + recall) if exact else 0.0
    return Grouping(ga=sum(map(len, exact)) / len(true), fga=fga)


def parsing_accuracy(true: Sequence[str], found: Sequence[str]) -> float:
    """PA: share of lines whose template is the true one, runs of variable marks and spaces taken as one."""
    return sum(_plain(a) == _plain(b) for a, b in zip(true, found, strict=True)) / len(true)


def _members(labels: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for line, label in enumerate(labels):
        members[label].append(line)
    return members


def _plain(template: str) -> str:
    return _SPACE.sub(" ", _RUN.sub("<*>", _MARK.sub("<*>", template))).strip()
