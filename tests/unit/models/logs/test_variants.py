"""Templates that say nearly the same thing."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.logs.miner import Miner, Template
from models.logs.variants import ALIKE, alike, grouped

WORDS = st.lists(st.sampled_from("abcdef"), max_size=12)


def template(number: int, text: str, count: int = 1, first: float = 0.0, last: float = 0.0) -> Template:
    return Template(number=number, text=text, count=count, first=first, last=last, exemplar=f"{text} once")


def longest_common(one: list[str], other: list[str]) -> int:
    """By the recurrence of Wagner and Fischer."""
    row = [0] * (len(other) + 1)
    for mine in one:
        before = row
        row = [0]
        for place, word in enumerate(other):
            row.append(before[place] + 1 if word == mine else max(before[place + 1], row[-1]))
    return row[-1]


@given(WORDS, WORDS)
def test_likeness_is_the_share_of_words_in_common_order(one, other):
    """Dice's coefficient of the longest common subsequence, the same both ways."""
    words = len(one) + len(other)

    assert alike(one, other) == (2 * longest_common(one, other) / words if words else 0.0)
    assert alike(one, other) == alike(other, one)


def test_variants_are_one_group_led_by_the_most_frequent():
    """Its numbers are those of all members together."""
    (group, alone) = grouped(
        [
            template(1, "Failed password for <*> from <*> port <*>", 40, 100.0, 200.0),
            template(2, "Failed password for invalid user <*> from <*> port <*>", 10, 50.0, 150.0),
            template(3, "accepted password for <*> from <*> port <*>", 1, 300.0, 300.0),
            template(4, "disk is full", 2, 10.0, 11.0),
        ]
    )

    assert (group.number, group.text, group.members) == (1, "Failed password for <*> from <*> port <*>", (1, 2, 3))
    assert group.exemplar == "Failed password for <*> from <*> port <*> once"
    assert (group.count, group.first, group.last, group.rate) == (51, 50.0, 300.0, 50 / 250)
    assert (alone.members, alone.rate) == ((4,), 1.0)


def test_novelty_is_that_of_a_miner():
    """A group is as surprising as a template of its count would be."""
    miner = Miner()
    for at in range(99):
        miner.take("all is well", float(at))
    seen = miner.take("disk on fire", 99.0)

    assert grouped(miner.templates())[1].novelty == pytest.approx(seen.novelty)
    assert grouped([template(1, "alone")])[0].novelty == 0.0


def test_no_chain_of_small_differences_makes_a_group():
    """Members are like their leader, not only like one another."""
    chain = ["a b c d e f g h", "a b c d e f x y", "a b c d v w x y", "s t c d v w x y"]
    groups = grouped([template(number, text, count=9 - number) for number, text in enumerate(chain)])

    assert [group.members for group in groups] == [(0, 1), (2, 3)]


@pytest.mark.parametrize("text", ["<*>", "<*> <*>", "<*>: (<*>)", ""])
def test_what_has_no_constant_word_is_like_nothing(text):
    """Variable parts say nothing."""
    assert len(grouped([template(1, text), template(2, f"{text} <*>")])) == 2


@given(st.lists(st.tuples(WORDS.map(" ".join), st.integers(1, 20)), max_size=30))
def test_every_template_is_in_one_group_of_its_like(templates):
    """Nothing is lost or counted twice, and whoever could have joined a leader has joined one."""
    known = [template(number, text, count) for number, (text, count) in enumerate(templates)]
    groups = grouped(reversed(known))

    assert sorted(number for group in groups for number in group.members) == list(range(len(known)))
    assert sum(group.count for group in groups) == sum(each.count for each in known)
    assert all(
        alike(group.text.split(), known[number].text.split()) >= ALIKE for group in groups for number in group.members[1:]
    )
    leaders = [group.text.split() for group in groups]
    assert all(alike(one, other) < ALIKE for place, one in enumerate(leaders) for other in leaders[:place])


def test_as_many_templates_as_a_miner_has_are_grouped_within_seconds():
    """The cost of one template is bounded, however many there are."""
    draw = random.Random(1)
    words = [f"w{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(500)]
    known = [template(number, " ".join(draw.choices(words, k=12))) for number in range(10_000)]
    began = time.process_time()
    grouped(known)

    assert time.process_time() - began < 10.0
