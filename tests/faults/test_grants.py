"""What stands between a grant and an effect: races, drift, policy, audit and kill switches."""

import asyncio
import random
import time
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.opa import OpaPolicy
from domain.errors import GrantUsedError, HealError, UnavailableError
from domain.identity import SwitchLevel
from domain.outcome import RemediationOutcome, StepOutcome, StepRef
from domain.plan import Direction
from domain.refs import PlanRef
from services.switches import Switches
from storage import approvals
from storage.engine import Database, open_engine
from tests.engine import until
from tests.faults import checker
from tests.faults.desk import Desk, a_target
from tests.faults.report import bar, counted

SEED = 20_261_121
AT_ONCE = 20
ANSWERED_WITHIN = bar(4.0)


async def carried_out(remediation, ref: PlanRef) -> list[StepOutcome]:
    """All that one worker does to execute a plan, up to its last step."""
    begun = await remediation.begin(ref)
    if begun.outcome is not None:
        return []
    await remediation.prepare(ref)
    return [await remediation.step(StepRef(plan=ref, step=index, direction=Direction.DO)) for index in begun.steps]


async def test_f44_two_workers_that_grab_one_plan_have_one_effect(desk, fault, database_urls, tmp_path):
    """Each race is between two workers with pools of their own; the target has one effect per plan."""
    races, broken = counted(1_000), []
    pools = [Database(open_engine(database_urls.app, size=8)) for _ in range(2)]
    workers = [desk.remediation(database=each) for each in pools]
    dice = random.Random(SEED)

    async def slow(key: str) -> None:
        await asyncio.sleep(dice.uniform(0, 0.02))

    desk.runner.knob = slow

    async def race() -> None:
        ref = await desk.granted()
        outcomes = await asyncio.gather(*(_tried(each, ref) for each in workers))
        effects = [each for each in desk.runner.ledger if each.plan == str(ref.id)]
        if len(effects) != 1:
            broken.append(f"I3: {len(effects)} effects of one plan, after {outcomes}")

    for _ in range(races // 5):
        await asyncio.gather(*(race() for _ in range(5)))
    broken += await checker.ungranted(desk.superuser, desk.runner.ledger)
    broken += await checker.broken_chain(desk.database, desk.signer, desk.tenant.org, tmp_path)
    for each in pools:
        await each.close()
    fault.note(runs=races, violations=broken, effects=len(desk.runner.ledger), refused=len(desk.runner.refused), seed=SEED)


async def _tried(remediation, ref: PlanRef) -> str:
    try:
        return ",".join(await carried_out(remediation, ref))
    except HealError as error:
        return error.code


async def test_f44_one_grant_is_used_by_one_of_two_remediations(desk, fault):
    """Two remediations with names of their own ask for one grant at the same moment; one gets it."""
    races, broken = counted(1_000) // 5, []
    for _ in range(races):
        ref = await desk.granted()
        won = await asyncio.gather(*(_consumed(desk, ref, f"fix/{region}") for region in ("here", "there")))
        if sum(won) != 1:
            broken.append(f"one grant was used {sum(won)} times")
    fault.note(runs=0, violations=broken, grant_races=races)


async def _consumed(desk: Desk, ref: PlanRef, by: str) -> bool:
    async with desk.database.transaction(ref.org) as session:
        grant = await approvals.grant_of(session, ref.id)
        assert grant is not None
        return await approvals.consume_grant(session, grant.id, by=by)


async def test_f43_a_target_that_changed_after_the_approval_is_not_touched(desk, fault, tmp_path):
    """Half of the drifts come before the plan begins, half between its beginning and its step; no effect, plan stale."""
    drifts, broken = counted(100), []
    for number in range(drifts):
        target = a_target()
        ref = await desk.granted(target)
        remediation = desk.remediation()
        if number % 2:
            await remediation.begin(ref)
            await remediation.prepare(ref)
            desk.runner.drift(target)
            said = await remediation.step(StepRef(plan=ref, step=0, direction=Direction.DO))
            broken += [] if said is StepOutcome.STALE else [f"the step of a stale plan came to {said}"]
            continue
        desk.runner.drift(target)
        begun = await remediation.begin(ref)
        broken += [] if begun.outcome is RemediationOutcome.STALE else [f"a stale plan came to {begun.outcome}"]
        with pytest.raises(GrantUsedError):
            await remediation.step(StepRef(plan=ref, step=0, direction=Direction.DO))
    broken += [f"effect {each.key}" for each in desk.runner.ledger]
    broken += await checker.broken_chain(desk.database, desk.signer, desk.tenant.org, tmp_path)
    fault.note(runs=drifts, violations=broken, effects=len(desk.runner.ledger))


async def test_f42_a_kill_switch_stops_what_has_not_begun(desk, fault, tmp_path):
    """Twenty executions run: the step in flight ends, no further step and no undo begins."""
    gate, reached = asyncio.Event(), []

    async def held(key: str) -> None:
        reached.append(key)
        await gate.wait()

    desk.runner.knob = held
    refs = [await desk.granted(a_target(), a_target()) for _ in range(AT_ONCE)]
    remediation = desk.remediation()
    running = [asyncio.create_task(carried_out(remediation, ref)) for ref in refs]

    async def all_in_flight() -> bool:
        return len(reached) == AT_ONCE

    await until(all_in_flight, within=40, why="twenty first steps are in flight")
    switches = Switches(desk.database, desk.ledger)
    await switches.engage(desk.tenant.admin, SwitchLevel.ORG, "*", "a fault")
    stopped_at = time.time()
    gate.set()
    outcomes = await asyncio.gather(*running)
    undone = [await remediation.step(StepRef(plan=ref, step=0, direction=Direction.UNDO)) for ref in refs]
    expected = [StepOutcome.DONE, StepOutcome.STOPPED]
    broken = [f"a stopped execution came to {each}" for each in outcomes if each != expected]
    broken += [f"an undo came to {each}" for each in undone if each is not StepOutcome.STOPPED]
    broken += checker.late(stopped_at, desk.runner.ledger)
    broken += await checker.ungranted(desk.superuser, desk.runner.ledger)
    broken += await checker.broken_chain(desk.database, desk.signer, desk.tenant.org, tmp_path)
    last = max(each.at for each in desk.runner.ledger) - stopped_at
    fault.note(runs=AT_ONCE, violations=broken, effects=len(desk.runner.ledger), last_effect_after_s=last)


@pytest.mark.parametrize("how", ["revoked", "full"])
async def test_f41_without_an_audit_entry_there_is_no_effect(how, desk, fault):
    """The ledger cannot be written: nothing begins, and what has begun takes no step."""
    ready, begun = await desk.granted(), await desk.granted()
    remediation = desk.remediation()
    await remediation.begin(begun)
    await remediation.prepare(begun)
    async with _unwritable_audit(desk, how):
        for act in (
            carried_out(remediation, ready),
            remediation.step(StepRef(plan=begun, step=0, direction=Direction.DO)),
            remediation.step(StepRef(plan=begun, step=0, direction=Direction.UNDO)),
        ):
            with pytest.raises((DBAPIError, UnavailableError)):
                await act
        refused = len(desk.runner.ledger)
    await remediation.step(StepRef(plan=begun, step=0, direction=Direction.DO))
    await carried_out(remediation, ready)
    broken = [f"I2: {refused} effects without an audit entry"] if refused else []
    broken += await checker.ungranted(desk.superuser, desk.runner.ledger)
    fault.note(runs=3, violations=broken, effects_afterwards=len(desk.runner.ledger))


@asynccontextmanager
async def _unwritable_audit(desk, how: str):
    """The application may not insert into the audit log, or there is no room for it."""
    away, back = {
        "revoked": ("revoke insert on audit_logs from suture_app", "grant insert on audit_logs to suture_app"),
        "full": (FULL_UP.format(org=desk.tenant.org), "drop function suture.no_room() cascade"),
    }[how]
    async with desk.superuser.begin() as connection:
        if how == "full":
            await connection.execute(text(NO_ROOM))
        await connection.execute(text(away))
    try:
        yield
    finally:
        async with desk.superuser.begin() as connection:
            await connection.execute(text(back))


FULL_UP = """create trigger full_up before insert on audit_logs
  for each row when (new.org_id = '{org}') execute function suture.no_room()"""
NO_ROOM = """create function suture.no_room() returns trigger language plpgsql as
  $$ begin raise exception 'no space left on device' using errcode = 'disk_full'; end $$"""


async def test_f31_without_policy_nothing_happens(desk, fault):
    """The policy engine is away, or answers nobody: the plan does not begin, its grant stays unused, and time is bounded."""
    waits, broken = [], []
    async with _silence() as port:
        for url in ("http://127.0.0.1:9", f"http://127.0.0.1:{port}"):
            async with OpaPolicy(url) as policy:
                ref = await desk.granted()
                began = time.monotonic()
                with pytest.raises(UnavailableError):
                    await carried_out(desk.remediation(policy=policy), ref)
                waits.append(time.monotonic() - began)
            async with desk.database.transaction(ref.org) as session:
                grant = await approvals.grant_of(session, ref.id)
            broken += [] if grant.status == "unused" else [f"the grant is {grant.status}"]
    broken += [f"effect {each.key}" for each in desk.runner.ledger]
    broken += [f"waited {each:.1f} s" for each in waits if each > ANSWERED_WITHIN]
    fault.note(runs=2, violations=broken, effects=len(desk.runner.ledger), longest_wait_s=max(waits))


@asynccontextmanager
async def _silence():
    """A port where somebody listens and never answers."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
