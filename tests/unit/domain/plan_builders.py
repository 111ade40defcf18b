"""Arbitrary fix plans."""

from typing import TypeVar

from hypothesis import strategies as st

from domain.base import Id, IncidentId, OrgId, PlanId, PrincipalId
from domain.plan import Command, EffectClass, Excluded, FixPlan, Mode, Reversibility, Risk, Step, Target

I = TypeVar("I", bound=Id)  # noqa: E741 - any kind of id
WORDS = st.text(st.characters(codec="utf-8", min_codepoint=1), max_size=20)
ARGUMENTS = st.text("abcXYZ0189-_=./:; $`é漢", min_size=1, max_size=20)
NUMBERS = st.integers(min_value=0, max_value=2**128 - 1)


def ids(kind: type[I]) -> st.SearchStrategy[I]:
    return NUMBERS.map(lambda number: kind(int=number))


COMMANDS = st.builds(Command, tool=WORDS, argv=st.lists(ARGUMENTS, min_size=1, max_size=4).map(tuple))
TARGETS = st.builds(Target, kind=WORDS, id=WORDS, name=WORDS, version=WORDS)


@st.composite
def steps(draw):
    """Numbered from nought."""
    count = draw(st.integers(min_value=1, max_value=3))
    undo = st.none() | COMMANDS
    effects = st.sampled_from(EffectClass)
    return tuple(
        Step(
            index=index,
            summary=draw(WORDS),
            target=draw(TARGETS),
            do=draw(COMMANDS),
            undo=draw(undo),
            effect=draw(effects),
        )
        for index in range(count)
    )


PLANS = st.builds(
    FixPlan,
    id=ids(PlanId),
    org=ids(OrgId),
    incident=ids(IncidentId),
    environment=WORDS,
    is_production=st.booleans(),
    action=WORDS,
    summary=WORDS,
    why=WORDS,
    risk=st.sampled_from(Risk),
    reversibility=st.sampled_from(Reversibility),
    confidence=st.floats(min_value=0, max_value=1),
    mode=st.sampled_from(Mode),
    steps=steps(),
    runner=WORDS,
    runner_version=WORDS,
    policy_revision=WORDS,
    excluded=st.lists(st.builds(Excluded, action=WORDS, reason=WORDS), max_size=2).map(tuple),
    authors=st.lists(ids(PrincipalId), max_size=3).map(tuple),
    requested_by=st.none() | ids(PrincipalId),
    supersedes=st.none() | ids(PlanId),
)
