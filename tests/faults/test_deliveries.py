"""Deliveries that come more than once, at the same time and in any order end in the state that one of each would."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from domain.approval import Approval, ApprovalStatus, Choice, Decision
from domain.base import ApprovalId, OrgId, PlanId, PreflightId, PrincipalId, RequestId
from domain.errors import ApprovalClosedError, ConflictError, UnavailableError
from domain.execution import Failure
from domain.identity import Kind, Principal, Role
from domain.incident import Severity
from domain.policy import ApprovalRule
from domain.refs import IncidentRef, RunRef
from services.intake import Received
from tests.engine import until
from tests.faults import checker
from tests.faults.report import counted
from tests.faults.test_database import a_signal

SEED = 20_261_121
KEYS = text(
    "select array_agg(idempotency_key order by idempotency_key) from signals"
    " where org_id = :org and idempotency_key like :these"
)
TIMES, AT_ONCE = 5, 8
PEOPLE = [PrincipalId(int=number) for number in range(1, 6)]
OPENED = datetime(2026, 1, 1, tzinfo=UTC)


async def test_f23_five_deliveries_by_eight_at_once_are_one_signal(world, tenant, superuser, fault):
    """Each signal is sent five times by each of eight senders; it is stored once, and all are told the same id."""
    keys, broken, acked = counted(50), [], []
    for number in range(keys):
        said = await asyncio.gather(*(_sent(world, tenant, f"twice-{number}") for _ in range(AT_ONCE)))
        received = [each for sender in said for each in sender]
        acked.append(received[0].event_id)
        stored = [each for each in received if each.status == "stored"]
        broken += [] if len(stored) == 1 else [f"I1: stored {len(stored)} times"]
        broken += [] if len({each.event_id for each in received}) == 1 else ["I1: told different ids"]
    broken += await checker.lost_signals(superuser, tenant.org, acked)
    async with superuser.connect() as connection:
        count = text("select count(*) from signals where org_id = :org")
        stored_rows = (await connection.execute(count, {"org": tenant.org})).scalar_one()
    broken += [] if stored_rows == keys else [f"{stored_rows} rows of {keys} signals"]
    fault.note(runs=keys * TIMES * AT_ONCE, violations=broken, signals=stored_rows)


async def _sent(world, tenant, key: str) -> list[Received]:
    """What one sender is told, who comes again when there is no room."""
    told: list[Received] = []
    while len(told) < TIMES:
        try:
            told += await world.services.intake.receive(tenant.admin, [a_signal(key)])
        except UnavailableError:
            await asyncio.sleep(0.05)
    return told


async def test_f23_five_reports_by_eight_at_once_are_one_incident(scene, superuser, fault):
    """A failure that is reported, and letters that are delivered, again and again: one incident, whose story is told once.

    A letter that comes after the story has come to a rest starts its workflow once more, which finds nothing new and ends.
    """
    services, engine = scene.world.services, scene.world.services.approvals._engine
    pipeline = await scene.pipeline("reported")
    run = await scene.start(pipeline)
    ref = RunRef(org=scene.tenant.org, pipeline=pipeline.id, execution=run.id)
    await services.runs.begin(ref)
    failure = Failure(ref=ref, stage="load", error_code="failed")
    for _ in range(TIMES):
        await asyncio.gather(*(services.runs.fail(failure) for _ in range(AT_ONCE)))
    found = (await services.runs.get(scene.caller, run.id)).execution
    assert found.incident is not None
    incident = await services.incidents.get(scene.caller, found.incident)
    for _ in range(TIMES):
        await asyncio.gather(
            *(engine.wake_incident(IncidentRef(org=incident.org, id=incident.id), incident.carrier) for _ in range(AT_ONCE))
        )
    async with superuser.connect() as connection:
        counting = text(
            "select (select count(*) from incidents where org_id = :org), (select count(*) from signals where org_id = :org)"
        )
        counts = tuple((await connection.execute(counting, {"org": scene.tenant.org})).one())
    broken = [] if counts == (1, 1) else [f"{counts} incidents and signals"]
    broken += [] if incident.event_count == 1 else [f"one event was counted {incident.event_count} times"]

    async def told() -> list[int]:
        actions = [each.action for each in await services.incidents.timeline(scene.caller, incident.id)]
        return [actions.count(each) for each in ("incident.diagnosed", "incident.needs_human")]

    async def is_told() -> bool:
        return min(await told()) >= 1

    await until(is_told, why="the story of the incident is told")
    broken += [] if await told() == [1, 1] else [f"the story of one incident was told {await told()} times"]
    await services.incidents.resolve(scene.caller, incident.id)
    fault.note(runs=2 * TIMES * AT_ONCE, violations=broken, incidents=counts[0])


async def test_f24_shuffled_deliveries_leave_the_state_of_the_ordered_ones(world, found_org, superuser, fault):
    """The same signals in another order, some of them again, in batches of any size: the same keys, each once."""
    orders, broken = counted(1_000), []
    tenant, dice = await found_org(), random.Random(SEED)
    for order in range(orders):
        keys = [f"{order}-{number}" for number in range(4)]
        await _deliver(world, tenant, _shuffled(dice, keys))
        async with superuser.connect() as connection:
            found = (await connection.execute(KEYS, {"org": tenant.org, "these": f"{order}-%"})).scalar_one()
        broken += [] if found == sorted(keys) else [f"order {order} left {found}"]
    fault.note(runs=orders, violations=broken, seed=SEED)


def _shuffled(dice: random.Random, keys: Sequence[str]) -> list[list[str]]:
    """Every key at least once, in batches."""
    sent = [*keys, *dice.choices(keys, k=3)]
    dice.shuffle(sent)
    cut = dice.randint(1, len(sent) - 1)
    return [sent[:cut], sent[cut:]]


async def _deliver(world, tenant, batches: Sequence[Sequence[str]]) -> None:
    await asyncio.gather(*(world.services.intake.receive(tenant.admin, [a_signal(key) for key in batch]) for batch in batches))


@settings(max_examples=counted(1_000))
@given(quorum=st.integers(1, 5), order=st.permutations(PEOPLE), repeats=st.lists(st.sampled_from(PEOPLE), max_size=5))
def test_f24_approvals_in_any_order_come_to_the_same(quorum, order, repeats):
    """Who agrees first does not matter, and a person who says it twice counts once."""
    shuffled = _decided(quorum, [*order[:quorum], *repeats])
    assert shuffled == ApprovalStatus.APPROVED
    if quorum > 1:
        assert _decided(quorum, [*order[: quorum - 1], *(each for each in repeats if each in order[: quorum - 1])]) == "open"


def _decided(quorum: int, people: Sequence[PrincipalId]) -> ApprovalStatus:
    approval = _approval(quorum)
    for person in people:
        word = Decision(
            principal=person, choice=Choice.APPROVE, digest="0" * 64, reason="", request=RequestId(int=1), auth_method="token"
        )
        by = Principal(id=person, org=OrgId(int=1), kind=Kind.PERSON, name="p", roles=frozenset({Role.APPROVER}))
        try:
            approval = approval.with_decision(word, by=by, issuer=person, now=OPENED)
        except ApprovalClosedError:
            break
        except ConflictError:  # said before; it counts once
            continue
    return approval.outcome(OPENED)


def _approval(quorum: int) -> Approval:
    rule = ApprovalRule(
        quorum=quorum,
        roles=(Role.APPROVER,),
        ladder=(Role.APPROVER,),
        decide_within=timedelta(hours=1),
        execute_within=timedelta(hours=1),
        remind_after=timedelta(minutes=10),
        escalate_after=timedelta(minutes=10),
        distinct_teams=False,
    )
    return Approval(
        id=ApprovalId(int=1),
        plan=PlanId(int=1),
        preflight=PreflightId(int=1),
        digest="0" * 64,
        rule=rule,
        excluded=frozenset(),
        status=ApprovalStatus.OPEN,
        opened_at=OPENED,
    )


async def test_f24_an_incident_resolved_before_its_story_begins_stays_resolved(world, tenant, fault):
    """The word that it is over may come before, while or after the engine hears that it was opened."""
    services, dice, broken = world.services, random.Random(SEED), []
    engine, rounds = services.approvals._engine, counted(50)
    for number in range(rounds):
        incident = await services.incidents.open(
            tenant.admin, title=f"late-{number}", service="orders", environment="prod", severity=Severity.SEV3
        )
        ref = IncidentRef(org=tenant.org, id=incident.id)
        said = [services.incidents.resolve(tenant.admin, incident.id)]
        said += [engine.wake_incident(ref, incident.carrier) for _ in range(2)]
        dice.shuffle(said)
        await asyncio.gather(*said)
        found = await services.incidents.get(tenant.admin, incident.id)
        broken += [] if found.status == "resolved" else [f"the incident is {found.status}"]

        async def over(carrier=incident.carrier):
            return (await world.client.get_workflow_handle(carrier).describe()).status.name == "COMPLETED"

        await until(over, why="the story of a resolved incident ends")
        found = await services.incidents.get(tenant.admin, incident.id)
        broken += [] if found.status == "resolved" else [f"after its story the incident is {found.status}"]
    fault.note(runs=rounds, violations=broken, resolved_first=rounds)
