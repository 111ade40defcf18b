"""Letters and signals that crash whoever reads them: each is laid aside with its reason, and no other waits for them."""

import asyncio
import time

from sqlalchemy import text

from models.watch.watcher import Watcher
from storage.outbox import Letter, Outbox
from tests.faults.report import bar, counted
from tests.storage.conftest import service
from tests.storage.test_relay import Post, post, urls
from tests.storage.watched import USUAL

__all__ = ["post", "service", "urls"]

POISON = counted(400)
NEIGHBOURS = counted(200)
TRIES = 3
DELAY_S = bar(1.0)
DEAD = text(
    "select kind, attempts, last_error from outbox where org_id = :org and due_at = 'infinity' and delivered_at is null"
)
ALIVE = text("select count(*) from outbox where org_id = :org and due_at < 'infinity' and delivered_at is null")
ENTRIES = text(
    "select d.after_json from audit_logs l join audit_details d using (org_id, seq)"
    " where l.org_id = :org and l.action = 'letter.laid_aside'"
)
UNREAD = counted(60)
ASIDE = text(
    "select l.resource_id, d.after_json->>'reason' from audit_logs l join audit_details d using (org_id, seq)"
    " where l.org_id = :org and l.action = 'signal.laid_aside'"
)
ADDED_UP = text("select sum(count) from signal_rollups_5m where kind = 'metric'")


async def _rows(post: Post, statement):
    async with post.admin.connect() as connection:
        return [tuple(row) for row in await connection.execute(statement, {"org": post.org})]


async def test_f26_a_letter_that_crashes_its_handler_is_laid_aside_and_holds_up_no_other(post, fault):
    """After three tries, with its reason beside it and in the audit log; letters behind it are told within a second."""
    delays = []
    async with post.relay() as ears:
        await post.write(Letter.WAKE, {"workflow_id": "it leads"})
        await ears.heard("it leads")
        for number in range(POISON):
            kind, payload = (Letter.CARRY_PLAN, {"plan": "no plan"}) if number % 2 else (Letter.WAKE_MONITOR, {"service": "x"})
            await post.write(kind, payload)
        for number in range(NEIGHBOURS):
            await post.write(Letter.WAKE, {"workflow_id": f"run/{number}"})
            began = time.monotonic()
            await ears.heard(f"run/{number}")
            delays.append(time.monotonic() - began)
        async with asyncio.timeout(60):
            while await _rows(post, ALIVE) != [(0,)]:
                await asyncio.sleep(0.05)
        waiting, oldest = await Outbox(post.relaying).waiting()
    dead, entries = await _rows(post, DEAD), [each for (each,) in await _rows(post, ENTRIES)]
    broken = [f"a letter waited {each:.2f} s" for each in delays if each > DELAY_S]
    broken += [f"{len(dead)} of {POISON} are laid aside"] if len(dead) != POISON else []
    broken += [
        f"a {kind} after {tries} tries: {reason}" for kind, tries, reason in dead if (tries, bool(reason)) != (TRIES, True)
    ]
    broken += [] if len(entries) == POISON else [f"{len(entries)} entries"]
    broken += [f"an entry says {each}" for each in entries if each["tries"] != TRIES or not each["reason"]]
    broken += [f"{waiting} still count as waiting, for {oldest}"] if waiting else []
    fault.note(runs=POISON, violations=broken, neighbours=NEIGHBOURS, longest_delay_s=max(delays))


async def test_f26_a_letter_laid_aside_is_delivered_once_its_time_is_set_again(post, fault):
    """As the runbook says."""
    await post.write(Letter.WAKE, {"workflow": "nowhere"})
    async with post.relay() as ears:
        async with asyncio.timeout(30):
            while not await _rows(post, DEAD):
                await asyncio.sleep(0.05)
        async with post.admin.begin() as connection:
            await connection.execute(
                text("update outbox set payload = '{\"workflow_id\": \"run/again\"}' where due_at = 'infinity'")
            )
            await connection.execute(text("update outbox set due_at = now(), attempts = 0 where due_at = 'infinity'"))
        await ears.heard("run/again")
        await post.until_delivered()
    fault.note(runs=1, violations=[])


async def test_f26_a_signal_that_crashes_the_detectors_is_laid_aside_and_blinds_nobody(service, fault, monkeypatch):
    """By itself, though it comes again and again: what comes in between is learnt from, and what is odd opens its incident."""
    take = Watcher.take

    def crashes(watcher, arrivals):
        if any(each.key.startswith("poison") for each in arrivals):
            raise ZeroDivisionError
        return take(watcher, arrivals)

    async def read_on():
        number = 1
        while (await service.monitors.look(service.ref)).is_behind:
            number += 1
        return number

    monkeypatch.setattr(Watcher, "take", crashes)
    looks = 0
    for number in range(UNREAD):
        await service.send(USUAL[:16])
        await service.send([1.0], key=f"poison {number}")
        looks += await read_on()
    await service.tell(90.0, 91.0)
    await service.monitors.judge(service.ref)

    aside, [(added,)] = await service.rows(ASIDE, org=service.tenant.org), await service.rows(ADDED_UP)
    broken = [] if len(set(aside)) == UNREAD == len(aside) else [f"{len(aside)} of {UNREAD} are laid aside"]
    broken += [f"{identifier} for {reason}" for identifier, reason in aside if reason != "ZeroDivisionError"]
    sent = UNREAD * 16 + 2
    broken += [] if added == sent else [f"{added} of {sent} are added up"]
    broken += [] if len(await service.incidents()) == 1 else ["what was odd afterwards opened no incident"]
    fault.note(runs=UNREAD, violations=broken, looks=looks)
