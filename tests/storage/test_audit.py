"""Nothing changes without its entry, and no entry changes unnoticed."""

import asyncio
import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.checkpoints import CheckpointFolder
from adapters.signing import Ed25519Signer, verified
from domain.actor import SYSTEM, Actor
from domain.audit import AuditFilter
from domain.checkpoint import key_of, parse
from domain.errors import ConflictError, NotFoundError
from domain.identity import SwitchLevel
from domain.ledger import GENESIS, Entry, Reason, link
from domain.ledger_pack import verify_pack
from domain.merkle import verify_inclusion
from domain.principals import NewPrincipal
from domain.trace import Trace, current_trace
from services.audit import Audit
from services.switches import Switches
from storage.engine import sqlstate


@pytest.fixture
def audit(database, tmp_path):
    return Audit(database, Ed25519Signer(tmp_path / "signing.key"), CheckpointFolder(tmp_path / "checkpoints"))


@pytest.fixture
def append(database, ledger, org):
    """Appends an entry about a number."""

    async def add(number, **fields):
        async with database.transaction(org) as session:
            return await ledger.append(
                session, org, "thing.changed", actor=SYSTEM, resource_type="thing", resource_id=str(number), **fields
            )

    return add


@pytest.fixture
async def ledger_of_ten(audit, append, org):
    """An org whose ledger has grown by ten entries, and how long it is now."""
    for number in range(10):
        await append(number, before={"n": number}, after={"n": number + 1, "big": 1e21, "half": 0.5})
    return (await audit.verify(org)).size


@pytest.fixture
def tamper(superuser, org):
    """Does as superuser what the application cannot."""

    async def run(*statements, **parameters):
        async with superuser.begin() as connection:
            await connection.execute(text("set local session_replication_role = replica"))
            for statement in statements:
                await connection.execute(text(statement), {"org": org, **parameters})

    return run


async def test_the_chain_is_whole_and_in_order(audit, ledger_of_ten, org):
    """Entries follow one another from the org's first act on, and every one verifies."""
    found = await audit.verify(org)
    items = await audit.page(org, AuditFilter(), limit=200)
    assert found.is_whole
    assert [item.seq for item in items] == list(range(ledger_of_ten, 0, -1))


async def test_many_at_once_make_one_chain(audit, append, org):
    """Concurrent transactions take their places one after another."""
    before = (await audit.verify(org)).size
    places = await asyncio.gather(*(append(number) for number in range(20)))
    found = await audit.verify(org)
    assert sorted(places) == list(range(before + 1, before + 21))
    assert (found.is_whole, found.size) == (True, before + 20)


async def test_an_entry_says_which_request_caused_it(audit, append, org):
    """The trace and correlation ids of the request are in the entry, and find it again."""
    trace = Trace(trace_id="0af7651916cd43dd8448eb211c80319c", correlation_id="01J9")
    token = current_trace.set(trace)
    seq = await append(1)
    current_trace.reset(token)
    (item,) = await audit.page(org, AuditFilter(trace_id=trace.trace_id))
    assert (item.seq, item.correlation_id) == (seq, "01J9")


@pytest.mark.parametrize(
    ("wanted", "count"),
    [(AuditFilter(resource_id="3"), 1), (AuditFilter(action="thing.changed"), 10), (AuditFilter(actor="nobody"), 0)],
)
async def test_filters_narrow_the_list(audit, ledger_of_ten, org, wanted, count):
    """Each filter leaves the entries it names."""
    assert len(await audit.page(org, wanted)) == count


async def test_the_list_goes_on_where_it_stopped(audit, ledger_of_ten, org):
    """The seq of the last item shown is the cursor of the next page."""
    first = await audit.page(org, AuditFilter(), limit=3)
    second = await audit.page(org, AuditFilter(), before=first[-1].seq, limit=3)
    assert [item.seq for item in (*first, *second)] == list(range(ledger_of_ten, ledger_of_ten - 6, -1))


@pytest.mark.parametrize("table", ["audit_logs", "audit_details"])
@pytest.mark.parametrize("statement", ["update {} set seq = seq", "delete from {}", "truncate {}"])
async def test_a48_the_application_cannot_touch_an_entry(database, org, table, statement):
    """Changing and removing entries is refused by the database."""
    with pytest.raises(DBAPIError) as refused:
        async with database.transaction(org) as session:
            await session.execute(text(statement.format(table)))
    assert sqlstate(refused.value) == "42501"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("update audit_logs set body = replace(body, 'thing', 'think') where org_id = :org and seq = :seq", Reason.HASH),
        ("update audit_logs set actor_id = 'somebody else' where org_id = :org and seq = :seq", Reason.BODY),
        ("update audit_logs set created_at = created_at - interval '1 day' where org_id = :org and seq = :seq", Reason.BODY),
        ("update audit_details set after_json = '{\"n\": 0}' where org_id = :org and seq = :seq", Reason.BODY),
        ("delete from audit_logs where org_id = :org and seq = :seq", Reason.ORDER),
        ("update audit_logs set hash = repeat('a', 64) where org_id = :org and seq = :seq", Reason.HASH),
    ],
)
async def test_a48_an_edit_by_the_superuser_is_found(audit, ledger_of_ten, tamper, org, statement, reason):
    """Whatever is changed or taken out of the middle, verification names that seq."""
    bad = ledger_of_ten - 4
    await tamper(statement, seq=bad)
    fault = (await audit.verify(org)).fault
    assert (fault.seq, fault.reason) == (bad, reason)


async def test_a48_swapped_entries_are_found(audit, ledger_of_ten, tamper, org):
    """Two entries in each other's place are found at the first of them."""
    low = ledger_of_ten - 4
    await tamper(
        "update audit_logs set seq = -1 where org_id = :org and seq = :low",
        "update audit_logs set seq = :low where org_id = :org and seq = :low + 1",
        "update audit_logs set seq = :low + 1 where org_id = :org and seq = -1",
        low=low,
    )
    assert (await audit.verify(org)).fault.seq == low


async def test_erased_details_leave_the_chain_whole(audit, ledger_of_ten, tamper, org):
    """A person's data can be erased: the chain holds only its digest."""
    await tamper("delete from audit_details where org_id = :org")
    assert (await audit.verify(org)).is_whole


async def test_a48_a_cut_tail_is_found_by_the_head(audit, ledger_of_ten, tamper, org):
    """Entries that the head has counted are missed."""
    await tamper("delete from audit_logs where org_id = :org and seq > :last", last=ledger_of_ten - 2)
    fault = (await audit.verify(org)).fault
    assert (fault.seq, fault.reason) == (ledger_of_ten - 1, Reason.CUT)


async def test_a48_a_cut_tail_with_its_head_is_found_by_the_checkpoint(audit, ledger_of_ten, tamper, org):
    """Whoever cuts the tail and sets the head back cannot take back what was signed."""
    await audit.checkpoint(org)
    await tamper(
        "delete from audit_logs where org_id = :org and seq > :last",
        "update audit_heads set seq = :last, hash = (select hash from audit_logs where org_id = :org and seq = :last) "
        "where org_id = :org",
        last=ledger_of_ten - 2,
    )
    fault = (await audit.verify(org)).fault
    assert (fault.seq, fault.reason) == (ledger_of_ten - 1, Reason.CUT)


async def test_a48_a_ledger_hashed_anew_is_found_by_the_checkpoint(audit, ledger_of_ten, tamper, org):
    """A chain that is whole in itself and says something else is not what was signed."""
    await audit.checkpoint(org)
    await _rewrite(audit, tamper, org)
    found = await audit.verify(org)
    assert (found.fault.seq, found.fault.reason) == (ledger_of_ten, Reason.SIGNED)
    with pytest.raises(ConflictError):
        await audit.checkpoint(org)


async def _rewrite(audit, tamper, org):
    """Change the actor of every entry and hash the whole chain again."""
    lines = [json.loads(line) async for line in audit.export(org)]
    previous = None
    for line in lines:
        entry = Entry.model_validate(line)
        previous = link(previous, entry.record.model_copy(update={"actor_id": "forged"}))
        await tamper(
            "update audit_logs set actor_id = 'forged', body = :body, previous = :previous, hash = :hash "
            "where org_id = :org and seq = :seq",
            **previous.model_dump(include={"seq", "body", "previous", "hash"}),
        )
    await tamper("update audit_heads set hash = :hash where org_id = :org", hash=previous.hash)


async def test_an_export_verifies_offline(audit, ledger_of_ten, org):
    """The exported lines and the checkpoint are enough, with the public key alone."""
    key = key_of(audit.key)
    note = await audit.checkpoint(org)
    signed = parse(note, key=key, verify=lambda message, signature: verified(key.public_key, message, signature))
    found = verify_pack([line async for line in audit.export(org)], [signed])
    assert (found.is_whole, found.signed) == (True, ledger_of_ten)
    assert await audit.latest_checkpoint(org) == note


async def test_each_entry_can_be_proved(audit, ledger_of_ten, org):
    """The proof leads from the entry's hash to the signed root."""
    await audit.checkpoint(org)
    for seq in (1, ledger_of_ten // 2, ledger_of_ten):
        proof = await audit.proof(org, seq)
        assert verify_inclusion(proof.leaf, seq - 1, size=proof.size, proof=proof.path, root=proof.root)
    with pytest.raises(NotFoundError):
        await audit.proof(org, ledger_of_ten + 1)


async def test_without_an_entry_there_is_no_effect(database, ledger, tenant, principals, superuser):
    """While entries cannot be written, nothing else is."""
    switches = Switches(database, ledger)
    async with superuser.begin() as connection:
        await connection.execute(text("revoke insert on audit_logs from suture_app"))
    try:
        with pytest.raises(DBAPIError):
            await principals.create(tenant.admin, NewPrincipal(name="nobody"))
        with pytest.raises(DBAPIError):
            await switches.engage(tenant.admin, SwitchLevel.ORG, "*", "an incident")
    finally:
        async with superuser.begin() as connection:
            await connection.execute(text("grant insert on audit_logs to suture_app"))
    assert [each.name for each in await principals.page(tenant.org)] == ["admin"]
    async with database.transaction(tenant.org) as session:
        assert await session.scalar(text("select count(*) from outbox")) == 0
        assert await session.scalar(text("select count(*) from kill_switches where is_active")) == 0


def test_actors_are_told_apart(tenant):
    """A person is named by id, a part of the system by name."""
    assert Actor.calling(tenant.admin).id == tenant.admin.id.shown
    assert Actor.part("relay").kind == "system"
    assert len(GENESIS) == 64
