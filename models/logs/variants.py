"""Templates that say nearly the same thing in other words, as groups.

How alike two templates are is the longest sequence of constant words that both hold in this order, twice its length over
the words of both (Dice's coefficient of the longest common subsequence). The most frequent template leads a group, and each
other one joins the leader that it is most like, so that no chain of small differences makes a group of strangers.

Leaders that may be alike are found by their rarest words: of two templates that are alike enough, those of each that are
rarest have one in common (the prefix filter of Bayardo, Ma and Srikant 2007).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from domain.base import Value
from models.logs.masks import VARIABLE, is_word, tokens
from models.logs.miner import Template, per_second

ALIKE = 0.7
MOST_WORDS = 64
"""Of a longer template the other words are not compared."""

MOST_COMPARED = 16
"""So many leaders are compared with a template, those that share most of its rarest words."""

_Words = tuple[str, ...]


class Variants(Value):
    """One group: `number`, `text` and `exemplar` are those of its most frequent template, `members` hold it first.

    `first` and `last` are seconds since the epoch. `rate` is in sightings per second. `novelty` is that of one more sighting
    of any member, as a miner has it.
    """

    number: int
    text: str
    exemplar: str
    members: tuple[int, ...]
    count: int
    first: float
    last: float
    rate: float
    novelty: float


def grouped(templates: Iterable[Template]) -> tuple[Variants, ...]:
    """Each template in one group, the most frequent group first."""
    known = sorted(templates, key=lambda each: (-each.count, each.number))
    groups = _Leaders([_words(each) for each in known]).groups()
    lines, once = sum(each.count for each in known), sum(each.count == 1 for each in known)
    found = [_variants([known[place] for place in group], expected=once / lines if lines > 1 else 1.0) for group in groups]
    return tuple(sorted(found, key=lambda each: (-each.count, each.number)))


def alike(one: Sequence[str], other: Sequence[str]) -> float:
    """From 0, no word in common, to 1, the same words in the same order."""
    both = len(one) + len(other)
    return 2 * _longest_common(one, other) / both if both else 0.0


class _Leaders:
    """The templates by which groups are known so far, found by their rarest words."""

    def __init__(self, templates: Sequence[_Words]) -> None:
        self._templates = templates
        self._seen_in = Counter(word for words in templates for word in set(words))
        self._by_word: dict[str, list[int]] = {}

    def groups(self) -> Iterable[Sequence[int]]:
        """The places of each group's templates, the leader's first."""
        members: dict[int, list[int]] = {}
        for place, words in enumerate(self._templates):
            rarest = self._rarest(words)
            leader = self._leader(words, rarest)
            if leader is not None:
                members[leader].append(place)
                continue
            members[place] = [place]
            for word in rarest:
                self._by_word.setdefault(word, []).append(place)
        return members.values()

    def _leader(self, words: _Words, rarest: Sequence[str]) -> int | None:
        shared = Counter(place for word in rarest for place in self._by_word.get(word, ())[:MOST_COMPARED])
        likely = sorted(shared, key=lambda place: (-shared[place], place))[:MOST_COMPARED]
        score, place = max(((alike(self._templates[place], words), -place) for place in likely), default=(0.0, 0))
        return -place if score >= ALIKE else None

    def _rarest(self, words: _Words) -> Sequence[str]:
        """Two templates with none of these in common share too few words to be alike."""
        distinct = sorted(set(words), key=lambda word: (self._seen_in[word], word))
        needed = math.ceil(ALIKE / (2 - ALIKE) * len(words))
        return distinct[: len(words) - needed + 1]


def _words(template: Template) -> _Words:
    """The constant words of a template in lower case."""
    found = (part.lower() for part in tokens(template.text) if VARIABLE not in part and is_word(part))
    return tuple(found)[:MOST_WORDS]


def _variants(members: Sequence[Template], *, expected: float) -> Variants:
    leader, count = members[0], sum(each.count for each in members)
    first, last = min(each.first for each in members), max(each.last for each in members)
    return Variants(
        number=leader.number,
        text=leader.text,
        exemplar=leader.exemplar,
        members=tuple(each.number for each in members),
        count=count,
        first=first,
        last=last,
        rate=per_second(count, first, last),
        novelty=(1 - expected) / count,
    )


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence, all of `one` in the bits of a number (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    unmatched = every = (1 << len(one)) - 1
    for word in other:
        matched = unmatched & places.get(word, 0)
        unmatched = ((unmatched + matched) | (unmatched - matched)) & every
    return len(one) - unmatched.bit_count()
