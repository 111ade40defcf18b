"""Attacks on an approval: by those who may not decide, too early, too late, twice, and all at once."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import text

from domain.approval import ApprovalStatus, Choice, DecisionRequest, GrantStatus, RequestKind
from domain.base import RequestId
from domain.identity import Kind, Role
from domain.plan import Mode, PlanStatus
from domain.principals import NewPrincipal
from domain.refs import IncidentRef
from storage import approvals
from tests.attacks.case import Case, person, problem
from tests.engine import until
from tests.workflows.suggestions import an_incident_at_rest
from workflows.carrying import Carrying

AT_ONCE = 50


async def test_a19_nobody_approves_a_plan_of_their_own(case):
    """Whoever asked for the plan, started its run or wrote its versions is refused, whatever role they have besides."""
    for caller in (case.scene.author, case.scene.operator):
        await case.give(caller, *caller.principal.roles, Role.APPROVER)
        attacker = await case.person(caller)
        for choice in Choice:
            async with case.refused("approval.refused"):
                refused = await attacker.patch(f"/approvals/{case.approval.id.shown}", {"choice": choice})
            assert problem(refused) == (403, "separation_of_duties")


async def test_a19_nobody_approves_a_plan_of_their_service_account(scene, database, client):
    """The owner of the account that asked for the plan counts as whoever asked."""
    run = await an_incident_at_rest(scene)
    wanted = NewPrincipal(kind=Kind.SERVICE, name="bot", owner=scene.approver.id, roles=frozenset({Role.OPERATOR}))
    account = await scene.services.principals.create(scene.tenant.admin, wanted)
    robot = scene.approver.model_copy(update={"principal": account})
    plan = await scene.services.planning.propose(robot, run.incident, Mode.SUGGEST, None)
    case = Case(scene=scene, database=database, client=client, plan=plan, approval=await scene.approval())
    owner = await case.person(scene.approver)
    async with case.refused("approval.refused"):
        refused = await owner.post("/fix/approve", case.named)
    assert problem(refused) == (403, "separation_of_duties")


async def test_a20_nothing_executes_without_its_own_approval(case):
    """Execution before a decision is refused, and so is a decision that names another plan's digest."""
    operator, approver = await case.person(case.scene.operator), await case.person(case.scene.approver)
    async with case.refused("execution.refused"):
        early = await operator.post("/fix/execute", case.named | {"runner": "agent"})
    async with case.refused("approval.refused"):
        other = await approver.patch(f"/approvals/{case.approval.id.shown}", {"choice": "approve", "digest": "0" * 64})
    assert (problem(early), problem(other)) == ((409, "conflict"), (409, "approval_closed"))


async def test_a20_nothing_is_approved_without_its_preflight(scene, database, client):
    """A plan that nobody has rehearsed cannot be asked about, approved or executed."""
    run = await an_incident_at_rest(scene)
    approval = (await scene.approvals())[0]
    plan = await scene.services.planning.heal(IncidentRef(org=scene.tenant.org, id=run.incident), carrier="inc/nobody")
    case = Case(scene=scene, database=database, client=client, plan=plan, approval=approval)
    operator, approver = await case.person(scene.operator), await case.person(scene.approver)
    asked = await operator.post("/approvals", case.named)
    async with case.refused("approval.refused"):
        approved = await approver.post("/fix/approve", case.named)
    async with case.refused("execution.refused"):
        executed = await operator.post("/fix/execute", case.named | {"runner": "agent"})
    assert [problem(each) for each in (asked, approved, executed)] == [(409, "conflict")] * 3


async def test_a23_nobody_decides_after_the_time_to_decide(case):
    """By the database's clock alone: the workflow's timer has not even fired."""
    approver = await case.person(case.scene.approver)
    await case.until_asleep(after="tend_approval")
    await case.scene.world.shift(case.ref.org, case.approval.rule.decide_within + timedelta(seconds=1))
    for choice in Choice:
        async with case.refused("approval.refused"):
            late = await approver.patch(f"/approvals/{case.approval.id.shown}", {"choice": choice})
        assert problem(late) == (409, "approval_closed")


async def test_a25_one_person_counts_once_through_every_door(case, superuser, add_person):
    """Where two must agree, a second token, a signal and a repeated update add nothing; a second person does."""
    async with superuser.begin() as connection:
        two = text("update approvals set rule = jsonb_set(rule, '{quorum}', '2') where id = :id")
        await connection.execute(two, {"id": case.approval.id})
    approver, again = await case.person(case.scene.approver), await case.person(case.scene.approver)
    first = await approver.post("/fix/approve", case.named)
    assert (first.status_code, first.json()["settled"]) == (200, True)
    async with case.refused("approval.refused"):
        assert problem(await again.post("/fix/approve", case.named)) == (409, "conflict")
    async with case.refused("request.refused"):
        await _signal(case, await _smuggled(case, again))
    assert await case.status() is PlanStatus.AWAITING_APPROVAL
    second = await case.person(await add_person(case.scene.tenant, Role.APPROVER))
    assert (await second.post("/fix/approve", case.named)).json()["plan"]["status"] == "granted"
    decided = await case.scene.services.approvals.get(case.scene.author, case.approval.id)
    assert {each.principal for each in decided.decisions} == {case.scene.approver.id, second.caller.id}
    assert len(decided.decisions) == 2


async def _smuggled(case, who):
    """A second request of one person, stored although the first has been counted."""
    request = DecisionRequest(
        id=RequestId(int=uuid4().int),
        kind=RequestKind.DECIDE,
        plan=case.ref.id,
        approval=case.approval.id,
        principal=who.caller.id,
        token=who.caller.token,
        choice=Choice.APPROVE,
        digest=case.approval.digest,
        reason="again",
        auth_method="token",
    )
    async with case.database.transaction(case.ref.org) as session:
        await approvals.add_request(session, case.ref.org, request)
    return request


async def _signal(case, request):
    """Use the second door, and wait until somebody has answered there."""
    before = await case.entries("request.refused")
    await case.scene.handle(case.plan.carrier).signal(Carrying.approve, request.id)

    async def answered():
        return await case.entries("request.refused") > before

    await until(answered, why="the signal is answered")


async def test_a26_many_at_once_come_to_one_outcome(case, add_person):
    """Fifty people approve and reject at the same moment: one word counts, each of the others is refused and audited."""
    callers = [await add_person(case.scene.tenant, Role.APPROVER) for _ in range(AT_ONCE)]
    people = [await person(case.scene.services, case.client, each) for each in callers]
    choices = [(Choice.APPROVE, Choice.REJECT)[number % 2] for number in range(AT_ONCE)]
    said = await asyncio.gather(*(_answered(case, *each) for each in zip(people, choices, strict=True)))
    assert [problem(each) for each in said].count((409, "approval_closed")) >= AT_ONCE - 1
    assert await case.entries("approval.refused") + await case.entries("request.refused") >= AT_ONCE - 1
    decided = await case.scene.services.approvals.get(case.scene.author, case.approval.id)
    grant = await case.granted()
    (word,) = decided.decisions
    assert {each.caller.id for each, got in zip(people, said, strict=True) if got.status_code == 200} <= {word.principal}
    match decided.status:
        case ApprovalStatus.APPROVED:
            assert grant.status is GrantStatus.UNUSED
        case ApprovalStatus.REJECTED:
            assert grant is None


async def _answered(case, who, choice):
    """What somebody hears who asks again as long as nobody has time, or has counted the word yet."""
    for _ in range(20):
        said = await who.patch(f"/approvals/{case.approval.id.shown}", {"choice": choice})
        if said.status_code not in {202, 503}:
            break
    return said
