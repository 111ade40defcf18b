"""Who counts in an approval, and what their words come to."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.approval import Approval, ApprovalStatus, Choice, Decision
from domain.base import ApprovalId, OrgId, PlanId, PreflightId, PrincipalId, RequestId
from domain.errors import ApprovalClosedError, ConflictError, ForbiddenError, HealError, SeparationOfDutiesError
from domain.identity import Kind, Principal, Role
from domain.policy import ApprovalRule

OPENED = datetime(2026, 1, 1, tzinfo=UTC)
WITHIN = timedelta(hours=4)
DIGEST = "a" * 64
PEOPLE = st.integers(min_value=1, max_value=6)
WORDS = st.lists(st.tuples(PEOPLE, st.sampled_from(Choice)), max_size=12)
QUORA = st.integers(min_value=1, max_value=4)
IN_TIME = OPENED + timedelta(hours=1)


def an_approval(*, quorum: int = 1, excluded: frozenset[PrincipalId] = frozenset()) -> Approval:
    rule = ApprovalRule(
        quorum=quorum,
        roles=(Role.APPROVER,),
        ladder=(Role.APPROVER,),
        decide_within=WITHIN,
        execute_within=timedelta(hours=1),
        remind_after=timedelta(minutes=15),
        escalate_after=timedelta(minutes=30),
        distinct_teams=False,
    )
    return Approval(
        id=ApprovalId(int=1),
        plan=PlanId(int=1),
        preflight=PreflightId(int=1),
        digest=DIGEST,
        rule=rule,
        excluded=excluded,
        status=ApprovalStatus.OPEN,
        opened_at=OPENED,
    )


def a_person(number: int, **changes: object) -> Principal:
    who = Principal(id=PrincipalId(int=number), org=OrgId(int=1), kind=Kind.PERSON, name="x", roles=frozenset({Role.APPROVER}))
    return who.model_copy(update=changes)


def a_word(number: int, choice: Choice = Choice.APPROVE, *, digest: str = DIGEST) -> Decision:
    return Decision(
        principal=PrincipalId(int=number),
        choice=choice,
        digest=digest,
        reason="",
        request=RequestId(int=number),
        auth_method="token",
    )


def told(approval: Approval, words: list[tuple[int, Choice]], *, now: datetime = IN_TIME) -> Approval:
    """The approval after everybody has tried, whether they were let or not."""
    for number, choice in words:
        try:
            approval = approval.with_decision(
                a_word(number, choice), by=a_person(number), issuer=PrincipalId(int=number), now=now
            )
        except HealError:
            continue
    return approval


@given(st.permutations([Choice.REJECT, *[Choice.APPROVE] * 5]), QUORA)
def test_a_rejection_wins_over_any_number_of_approvals(choices: list[Choice], quorum: int):
    """In any order in which they were stored together."""
    words = tuple(a_word(number, choice) for number, choice in enumerate(choices, 1))
    approval = an_approval(quorum=quorum).model_copy(update={"decisions": words})
    assert approval.outcome(IN_TIME) is ApprovalStatus.REJECTED
    assert approval.outcome(OPENED + WITHIN) is ApprovalStatus.REJECTED


@given(WORDS, QUORA)
def test_one_person_counts_once(words: list[tuple[int, Choice]], quorum: int):
    """However often somebody speaks, what counts is one word per person, up to the one that decides."""
    approval = told(an_approval(quorum=quorum), words)
    people = [each.principal for each in approval.decisions]
    assert len(set(people)) == len(people) <= quorum
    in_favour = {each.principal for each in approval.decisions if each.choice is Choice.APPROVE}
    assert (approval.outcome(IN_TIME) is ApprovalStatus.APPROVED) == (
        len(in_favour) == quorum and len(approval.decisions) == quorum
    )


@given(PEOPLE, st.sampled_from(Choice), st.sampled_from(Choice))
def test_a_second_word_of_one_person_is_refused(number: int, first: Choice, second: Choice):
    """While it is open with 409 conflict, afterwards because it is closed."""
    approval = told(an_approval(quorum=3), [(number, first)])
    expected = ApprovalClosedError if first is Choice.REJECT else ConflictError
    with pytest.raises(expected):
        approval.with_decision(a_word(number, second), by=a_person(number), issuer=PrincipalId(int=number), now=IN_TIME)


@given(WORDS, QUORA, st.frozensets(PEOPLE.map(lambda number: PrincipalId(int=number))))
def test_nobody_who_is_excluded_ever_counts(words: list[tuple[int, Choice]], quorum: int, excluded: frozenset[PrincipalId]):
    """Neither their approval nor their rejection."""
    approval = told(an_approval(quorum=quorum, excluded=excluded), words)
    assert not {each.principal for each in approval.decisions} & excluded


@given(PEOPLE, PEOPLE, st.sampled_from(Choice))
def test_the_issuer_of_a_token_counts_as_its_user(number: int, issuer: int, choice: Choice):
    """A token from somebody excluded decides nothing."""
    approval = an_approval(excluded=frozenset({PrincipalId(int=issuer)}))
    with pytest.raises(SeparationOfDutiesError):
        approval.with_decision(a_word(number, choice), by=a_person(number), issuer=PrincipalId(int=issuer), now=IN_TIME)


@given(
    PEOPLE,
    st.sampled_from(Choice),
    st.sampled_from([{"kind": Kind.SERVICE}, {"is_active": False}, {"roles": frozenset(Role) - {Role.APPROVER}}]),
)
def test_only_an_active_person_with_the_role_counts(number: int, choice: Choice, lack: dict[str, object]):
    """A service account, somebody switched off and everybody without the role is refused."""
    with pytest.raises(ForbiddenError):
        an_approval().with_decision(
            a_word(number, choice), by=a_person(number, **lack), issuer=PrincipalId(int=number), now=IN_TIME
        )


@given(WORDS, QUORA, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30)))
def test_nothing_counts_after_the_time_to_decide(words: list[tuple[int, Choice]], quorum: int, later: timedelta):
    """Silence is a no, and it stays one."""
    late = OPENED + WITHIN + later
    approval = told(an_approval(quorum=quorum), words, now=late)
    assert approval.decisions == ()
    assert approval.outcome(late) is ApprovalStatus.EXPIRED


@given(PEOPLE, st.text("0123456789abcdef", min_size=64, max_size=64).filter(lambda other: other != DIGEST))
def test_a_word_on_another_plan_is_refused(number: int, other: str):
    """A decision names the digest that was read."""
    with pytest.raises(ApprovalClosedError):
        an_approval().with_decision(
            a_word(number, digest=other), by=a_person(number), issuer=PrincipalId(int=number), now=IN_TIME
        )


@given(st.sampled_from(sorted(set(ApprovalStatus) - {ApprovalStatus.OPEN})), PEOPLE, st.sampled_from(Choice))
def test_a_closed_approval_stays_as_it_is(status: ApprovalStatus, number: int, choice: Choice):
    """Whatever it was closed as, no word opens it."""
    closed = an_approval().model_copy(update={"status": status})
    with pytest.raises(ApprovalClosedError, match=status):
        closed.with_decision(a_word(number, choice), by=a_person(number), issuer=PrincipalId(int=number), now=IN_TIME)
    assert closed.outcome(OPENED + 2 * WITHIN) is status
