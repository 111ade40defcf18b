"""Find the templates of log lines in a single pass, with bounded memory.

Lines of one shape are one template. Templates that differ in a single word are brothers; once there are enough of
them, or once the word looks like an identifier, they become one template with that word taken out. Brothers are found by
the hash of what stands before and behind the word, so a line costs a dictionary look-up and only a new shape costs more.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from domain.base import Value
from models.logs.masks import VARIABLE, Masks, is_word, text, tidy, tokens

BROTHERS = 4
"""So many different lower-case words in one place are values. Between 3 and 5 it hardly matters."""
CAPITALISED_BROTHERS = 10
"""Names of states (`RUNNING`, `Resumed`) are few and mean different things."""
MOST = 10_000

_EXEMPLAR = 1_000
_SHAPES_PER_TEMPLATE = 8
_CHARACTERS_PER_TEMPLATE = 1_000
_IDENTIFIER = re.compile(r"[<\d./_@\-$#%]")

_Column = tuple[int, int, int, int]


class Template(Value):
    """A template as it stands: `number` is its name in this miner, times are seconds since the epoch.

    `placed` orders templates: of two that a line fits, it belongs to the one placed first. `absorbed` are the numbers of
    the templates that became this one.
    """

    number: int
    text: str
    count: int
    first: float
    last: float
    exemplar: str
    placed: int = 0
    absorbed: tuple[int, ...] = ()

    @property
    def rate(self) -> float:
        """Sightings per second."""
        return per_second(self.count, self.first, self.last)


class MinerState(Value):
    """All that a miner has learnt; the templates may stand in any order."""

    templates: tuple[Template, ...]
    following: int
    lines: int


class Changes(Value):
    """What differs from what is stored: templates that are new or other than there, and numbers of those that are no more."""

    templates: tuple[Template, ...]
    gone: tuple[int, ...]
    following: int
    lines: int


class Sighting(Value):
    """One line was taken: `novelty` is 1 for what was never to be expected and falls with each further sighting."""

    number: int
    is_new: bool
    novelty: float


@dataclass
class _Known:
    parts: tuple[str, ...]
    first: float
    last: float
    exemplar: str
    placed: int
    count: int = 0
    absorbed: list[int] = field(default_factory=list)


class Miner:
    """The templates of one service's lines. `most` bounds them: the one unseen for longest makes room."""

    def __init__(self, *, most: int = MOST, extra: Sequence[re.Pattern[str]] = ()) -> None:
        self._most = most
        self._masks = Masks(extra)
        self._known: dict[int, _Known] = {}
        self._heirs: dict[int, int] = {}
        self._by_shape: dict[str, int] = {}
        self._characters = 0
        self._by_parts: dict[tuple[str, ...], int] = {}
        self._columns: dict[_Column, dict[str, int]] = {}
        self._generalised: dict[int, list[int]] = {}
        self._stored: dict[int, int] = {}
        self._next = 0
        self._lines = 0
        self._once = 0

    def take(self, line: str, at: float, *, count: int = 1) -> Sighting:
        """Count a line, or `count` that are like it, under its template, which may be a new one."""
        shape = self._masks.shape(line)
        number = self.current(self._by_shape.get(shape, -1))
        is_new = False
        if number is None:
            before = self._next
            number = self._place(tidy(shape), at, line[:_EXEMPLAR])
            is_new = number >= before
            self._remember(shape, number)
        known = self._known[number]
        was_once = known.count == 1
        known.count += count
        known.last = max(known.last, at)
        self._lines += count
        self._once += (known.count == 1) - was_once
        return Sighting(number=number, is_new=is_new, novelty=self._novelty(known.count))

    def current(self, number: int) -> int | None:
        """The template that now stands for this one; None when it is forgotten."""
        number = self._heir(number)
        return number if number in self._known else None

    @property
    def lines(self) -> int:
        """How many it has taken."""
        return self._lines

    def text(self, number: int) -> str | None:
        """What the template that now stands for this one says; None when it is forgotten."""
        current = self.current(number)
        return None if current is None else text(self._known[current].parts)

    def templates(self) -> tuple[Template, ...]:
        return tuple(_template(number, known) for number, known in self._known.items())

    def state(self) -> MinerState:
        return MinerState(templates=self.templates(), following=self._next, lines=self._lines)

    @classmethod
    def restored(cls, state: MinerState, *, most: int = MOST, extra: Sequence[re.Pattern[str]] = ()) -> Self:
        """The miner that `state` was taken from: it places the next line alike."""
        miner = cls(most=most, extra=extra)
        for each in sorted(state.templates, key=lambda each: each.placed):
            miner._adopt(each.number, _known(each))
        miner._next, miner._lines = state.following, state.lines
        miner._stored = {number: known.count for number, known in miner._known.items()}
        return miner

    def changes(self) -> Changes:
        """What is to be stored so that all of `state` is; it goes on to be told until `stored` says that it is there."""
        changed = (each for each in self._known.items() if self._stored.get(each[0]) != each[1].count)
        return Changes(
            templates=tuple(_template(number, known) for number, known in changed),
            gone=tuple(sorted(self._stored.keys() - self._known.keys())),
            following=self._next,
            lines=self._lines,
        )

    def stored(self, changes: Changes) -> None:
        """These changes are stored. A template differs from its stored row whenever its count does: counts only grow."""
        for number in changes.gone:
            self._stored.pop(number, None)
        self._stored.update((each.number, each.count) for each in changes.templates)

    def merge(self, other: "Miner") -> dict[int, int]:
        """Take in what another worker learnt; tells under which number each of its templates goes here."""
        numbers = {}
        for template in sorted(other.templates(), key=lambda each: each.number):
            here = self._place(template.text, template.first, template.exemplar)
            known = self._known[here]
            self._once += (known.count + template.count == 1) - (known.count == 1)
            known.count += template.count
            known.first, known.last = min(known.first, template.first), max(known.last, template.last)
            self._lines += template.count
            numbers[template.number] = here
        return {number: self._heir(here) for number, here in numbers.items()}

    def _heir(self, number: int) -> int:
        while number in self._heirs:
            number = self._heirs[number]
        return number

    def _novelty(self, count: int) -> float:
        """Good-Turing: the share of lines seen once estimates how likely a new line is (Good 1953); the rest is surprise."""
        expected = self._once / self._lines
        return (1 - expected) / count if self._lines > 1 else 0.0

    def _remember(self, shape: str, number: int) -> None:
        is_full = len(self._by_shape) >= self._most * _SHAPES_PER_TEMPLATE
        if is_full or self._characters >= self._most * _CHARACTERS_PER_TEMPLATE:
            self._by_shape.clear()
            self._characters = 0
        self._by_shape[shape] = number
        self._characters += len(shape)

    def _place(self, shape: str, at: float, exemplar: str) -> int:
        parts = tokens(shape)
        if (known := self._by_parts.get(parts)) is not None:
            return known
        for number in self._generalised.get(len(parts), ()):
            if _covers(self._known[number].parts, parts):
                return number
        self._make_room()
        number = self._draw()
        self._adopt(number, _Known(parts, at, at, exemplar, placed=number))
        return self._settle(number)

    def _draw(self) -> int:
        number, self._next = self._next, self._next + 1
        return number

    def _adopt(self, number: int, known: _Known) -> None:
        self._known[number] = known
        self._by_parts[known.parts] = number
        self._once += known.count == 1
        for heir_of in known.absorbed:
            self._heirs[heir_of] = number
        for word, column in _columns(known.parts):
            self._columns.setdefault(column, {})[word] = number
        if VARIABLE in known.parts:
            self._generalised.setdefault(len(known.parts), []).append(number)

    def _settle(self, number: int) -> int:
        """Join the template with its brothers where there are enough; the number that stands for it then."""
        for place, (_, column) in enumerate(_columns(self._known[number].parts)):
            brothers = self._columns[column]
            if len(brothers) > 1 and len(brothers) >= _enough(brothers, is_first=place == 0):
                return self._settle(self._join(sorted(set(brothers.values()))))
        return number

    def _join(self, numbers: Sequence[int]) -> int:
        members = [self._known[number] for number in numbers]
        joined = _Known(
            parts=tuple(
                words[0] if len(set(words)) == 1 else VARIABLE for words in zip(*(m.parts for m in members), strict=True)
            ),
            first=min(each.first for each in members),
            last=max(each.last for each in members),
            exemplar=members[0].exemplar,
            placed=self._draw(),
            count=sum(each.count for each in members),
            absorbed=[*numbers[1:], *(old for each in members for old in each.absorbed)],
        )
        for number in numbers:
            self._forget(number)
        self._adopt(numbers[0], joined)
        return numbers[0]

    def _forget(self, number: int) -> None:
        known = self._known.pop(number)
        if self._by_parts.get(known.parts) == number:
            del self._by_parts[known.parts]
        self._once -= known.count == 1
        for word, column in _columns(known.parts):
            brothers = self._columns[column]
            if brothers.get(word) == number:
                del brothers[word]
            if not brothers:
                del self._columns[column]
        if VARIABLE in known.parts:
            self._generalised[len(known.parts)].remove(number)

    def _make_room(self) -> None:
        if len(self._known) < self._most:
            return
        for number in sorted(self._known, key=lambda each: self._known[each].last)[: max(1, self._most // 10)]:
            for old in self._known[number].absorbed:
                del self._heirs[old]
            self._forget(number)


def _template(number: int, known: _Known) -> Template:
    return Template(
        number=number,
        text=text(known.parts),
        count=known.count,
        first=known.first,
        last=known.last,
        exemplar=known.exemplar,
        placed=known.placed,
        absorbed=tuple(known.absorbed),
    )


def _known(template: Template) -> _Known:
    return _Known(
        parts=tokens(template.text),
        first=template.first,
        last=template.last,
        exemplar=template.exemplar,
        placed=template.placed,
        count=template.count,
        absorbed=list(template.absorbed),
    )


def per_second(count: int, first: float, last: float) -> float:
    """How often something is seen from its first sighting to its last; 0 when all were at one time."""
    return (count - 1) / (last - first) if last > first else 0.0


def _columns(parts: tuple[str, ...]) -> Iterable[tuple[str, _Column]]:
    """Each word with what identifies its place: the hashes of all before and all behind it."""
    before, behind = [0], [0]
    for part in parts:
        before.append(hash((before[-1], part)))
    for part in reversed(parts):
        behind.append(hash((behind[-1], part)))
    for place, part in enumerate(parts):
        if is_word(part):
            yield part, (place, len(parts), before[place], behind[len(parts) - 1 - place])


def _enough(brothers: Mapping[str, int], *, is_first: bool) -> float:
    """How many different words in one place make it a variable one."""
    if VARIABLE in brothers:
        return 2
    plain = [word for word in brothers if _IDENTIFIER.search(word) is None]
    if not plain:
        return 2
    if is_first:
        return float("inf")
    if len(plain) < len(brothers):
        return 2
    return CAPITALISED_BROTHERS if all(word[0].isupper() for word in plain) else BROTHERS


def _covers(template: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return all(mine in (VARIABLE, part) for mine, part in zip(template, parts, strict=True))
