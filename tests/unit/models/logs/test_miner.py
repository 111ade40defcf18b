"""Templates of log lines."""

import json
import os
import re
import subprocess
import sys
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.logs.masks import Masks, is_word, text, tidy, tokens
from models.logs.miner import Changes, Miner, MinerState, Template

WORDS = st.sampled_from(
    ["job", "42", "from", "10.0.0.7", "failed", "RUNNING", "user=root", "(x)", "<*>", "/var/log/a", "a:b", "<", '"']
)
LINES = st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=60)


def templates_of(lines: list[str]) -> list[str]:
    miner = Miner()
    for line in lines:
        miner.take(line, 0.0)
    return sorted(each.text for each in miner.templates())


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        ("took 17.3 ms", "took <*> ms"),
        ("to 10.1.2.3:8080 now", "to <*> now"),
        ("id 3f2504e0-4f89-11d3-9a0c-0305e82c3301.", "id <*>."),
        ("commit da39a3ee5e6b4b0d3255bfef95601890afd80709", "commit <*>"),
        ("read /srv/app/a.log", "read <*>"),
        ("at Sun Jul 10 11:20:00 2005", "at <*>"),
        ("from x ()  at", "from x (<*>) at"),
        ("a b/c d", "a b/c d"),
        ("deadbeef cafe", "deadbeef cafe"),
    ],
)
def test_what_varies_is_taken_out(line, shape):
    """Numbers, addresses, ids, paths and dates are masked; words, even those of hex letters, stay."""
    assert tidy(Masks().shape(line)) == shape


@given(st.text(max_size=300))
def test_tokens_join_to_the_shape(line):
    """Nothing of a shape is lost in its tokens, and no two words stand side by side."""
    shape = tidy(Masks().shape(line))
    parts = tokens(shape)
    assert text(parts) == shape
    assert not any(is_word(one) and is_word(two) for one, two in pairwise(parts))


def test_values_become_one_template():
    """Four different words in one place are values of one template; three are not yet."""
    users = [f"session opened for {name} by cron" for name in ("news", "cyrus", "test", "backup")]
    assert len(templates_of(users[:3])) == 3
    assert templates_of(users) == ["session opened for <*> by cron"]


def test_states_stay_apart():
    """Names of states mean different things, so their lines stay different templates."""
    states = ("New", "Assigned", "Running", "Killed", "Done")
    assert len(templates_of([f"task moved to {state}" for state in states])) == 5


def test_several_values_are_covered():
    """A line that fits a template in every place belongs to it, whatever stands in its variable ones."""
    known = [f"copy {a} to {b}" for a in ("a.txt", "b.txt") for b in ("x.txt", "y.txt")]
    assert templates_of([*known, "copy here to there"]) == ["copy <*> to <*>"]


def test_a_joined_template_answers_for_its_members():
    """The number a line got stays good when its template becomes part of another."""
    miner = Miner()
    taken = [miner.take(f"login of {name} refused", at).number for at, name in enumerate(("ann", "bob", "cid", "dan"))]
    (template,) = miner.templates()
    assert {miner.current(number) for number in taken} == {template.number}
    assert (template.count, template.first, template.last) == (4, 0.0, 3.0)
    assert template.exemplar == "login of ann refused"


def test_a_new_line_is_novel_and_a_known_one_is_not():
    """After many lines of few templates a new one is a surprise, which wears off."""
    miner = Miner()
    for at in range(1000):
        miner.take("all is well", float(at))
    first, second = (miner.take("disk on fire", at) for at in (1000.0, 1001.0))
    assert (first.is_new, second.is_new) == (True, False)
    assert first.novelty > 0.99
    assert second.novelty == pytest.approx(0.5, abs=0.01)


@given(LINES, LINES)
def test_a_restored_miner_goes_on_alike(before, after):
    """What is saved as JSON and restored places every later line under the same number."""
    miner = Miner()
    for line in before:
        miner.take(line, 1.0)
    again = Miner.restored(MinerState.model_validate_json(json.dumps(miner.state().model_dump(mode="json"))))
    assert again.state() == miner.state()
    assert [miner.take(line, 2.0) for line in after] == [again.take(line, 2.0) for line in after]


class Rows:
    """A store of a row for each template, in no order."""

    def __init__(self) -> None:
        self.rows: dict[int, Template] = {}
        self.following = self.lines = 0

    def write(self, miner: Miner) -> Changes:
        changes = miner.changes()
        for number in changes.gone:
            del self.rows[number]
        self.rows.update((each.number, each) for each in changes.templates)
        self.following, self.lines = changes.following, changes.lines
        miner.stored(changes)
        return changes

    def read(self) -> MinerState:
        rows = tuple(self.rows[number] for number in sorted(self.rows, reverse=True))
        return MinerState(templates=rows, following=self.following, lines=self.lines)


@given(st.lists(LINES, max_size=4), LINES, LINES)
def test_rows_of_what_changed_are_the_state(batches, theirs, after):
    """Whoever stores the changes of each batch has all, and a miner of these rows goes on alike."""
    miner, other, rows = Miner(most=8), Miner(), Rows()
    for at, lines in enumerate(batches):
        for line in lines:
            miner.take(line, float(at))
        rows.write(miner)
    for line in theirs:
        other.take(line, 9.0)
    miner.merge(other)
    rows.write(miner)

    again = Miner.restored(rows.read(), most=8)

    assert again.state() == miner.state()
    assert [miner.take(line, 10.0) for line in after] == [again.take(line, 10.0) for line in after]


def test_only_what_changed_is_told():
    """A template not seen since is not stored again; one that became part of another goes."""
    miner, rows = Miner(), Rows()
    numbers = [miner.take(line, 0.0).number for line in ("all is well", "login of ann refused", "login of bob refused")]
    rows.write(miner)
    assert (miner.changes().templates, miner.changes().gone) == ((), ())

    for name in ("cid", "dan"):
        miner.take(f"login of {name} refused", 1.0)
    told = miner.changes()

    assert [(each.number, each.count) for each in told.templates] == [(numbers[1], 4)]
    assert told.gone == (numbers[2],)
    assert miner.changes() == told


def test_nothing_is_stored_that_differs_from_process_to_process():
    """Python salts the hashes of text anew in each process; rows of one are read by another."""
    program = (
        "from models.logs.miner import Miner\n"
        "miner = Miner()\n"
        "for n in range(200): miner.take(f'{chr(97 + n % 26)} user={chr(97 + n % 7)} of job {n} at {n % 3}x', float(n))\n"
        "print(miner.state().model_dump_json())"
    )
    states = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(states) == 1


@given(LINES, LINES)
def test_merged_miners_lose_no_line(ours, theirs):
    """After a merge every count is kept, and each of the other's templates has its place here."""
    here, there = Miner(), Miner()
    for line in ours:
        here.take(line, 1.0)
    numbers = [there.take(line, 2.0).number for line in theirs]
    places = here.merge(there)
    assert sum(each.count for each in here.templates()) == len(ours) + len(theirs)
    assert all(here.current(places[number]) is not None for each in numbers if (number := there.current(each)) is not None)


@given(st.lists(st.text(max_size=40), max_size=80))
def test_memory_is_bounded(lines):
    """However many different lines come, no more templates are kept than allowed."""
    miner = Miner(most=10)
    for at, line in enumerate(lines):
        miner.take(line, float(at))
        assert len(miner.templates()) <= 10


def test_long_lines_are_not_remembered_without_end():
    """Of lines of one word each, as long as a line may be, little more stays than the templates."""
    miner = Miner(most=10)
    tracemalloc.start()
    for at in range(600):
        miner.take("".join(chr(97 + at // 26**place % 26) for place in range(4)) * 1_024, float(at))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size < 1_000_000


def test_the_longest_unseen_makes_room():
    """A template that goes on being seen is never the one that is forgotten."""
    miner = Miner(most=10)
    kept = miner.take("heartbeat", 0.0).number
    for at in range(1, 200):
        miner.take(f"{'x' * at} only once", float(at))
        miner.take("heartbeat", float(at))
    assert miner.current(kept) == kept


def test_a_users_own_pattern_comes_first():
    """What a user says is variable is so, whatever it looks like."""
    miner = Miner(extra=[re.compile(r"tenant-\w+")])
    assert miner.take("quota of tenant-blue used up", 0.0).number == miner.take("quota of tenant-red used up", 0.0).number
