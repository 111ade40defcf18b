"""What we think of a followed database's incidents is written back to it, as its page says."""

from collections.abc import Callable
from typing import Any

from domain.base import EvidenceId, HypothesisId, IncidentId, PlanId
from domain.evidence import Cause, Diagnosis, Evidence, EvidenceKind, Hypothesis
from domain.plan import Command, EffectClass, FixPlan, Mode, Reversibility, Risk, Step, Target
from storage import diagnoses, plans
from storage.engine import new_ids, now
from tests.engine import until
from tests.workflows.outside import Following, Outside, blocks, writing_back

UNKNOWN = ("cause", "confidence", "plan", "risk")


async def shown(outside: Outside, why: str, *rows: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The rows, once each is as its test wants it."""
    found: list[dict[str, Any]] = []

    async def is_shown() -> bool:
        nonlocal found
        found = await outside.verdicts()
        return len(found) == len(rows) and all(test(row) for test, row in zip(rows, found, strict=True))

    await until(is_shown, why=why)
    return found


def rests(row: dict[str, Any]) -> bool:
    return row["status"] == "needs_human"


def like(old: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    return lambda row: (row["incident"], row["title"]) == (old["incident"], old["title"])


async def explain(following: Following, incident: IncidentId) -> None:
    """As if a run had waited for the incident: a cause is found, and a plan made."""
    async with following.world.database.transaction(following.tenant.org) as session:
        diagnosis, evidence, hypothesis, plan = await new_ids(session, 4)
        piece = Evidence(id=EvidenceId.of(evidence), kind=EvidenceKind.LOG, ref={}, excerpt="no space", score=1)
        likely = Hypothesis(
            id=HypothesisId.of(hypothesis),
            cause=Cause.RESOURCE_BOTTLENECK,
            statement="The disk is full.",
            confidence=0.8,
            support=(piece.id,),
        )
        found = Diagnosis(hypotheses=(likely,), evidence=(piece,), at=await now(session))
        await diagnoses.add(session, following.tenant.org, incident, diagnosis, found)
        target = Target(kind="service", id="jobs", name="jobs", version="1")
        do = Command(tool="ledger", argv=("clean", "jobs"))
        made = FixPlan(
            id=PlanId.of(plan),
            org=following.tenant.org,
            incident=incident,
            environment="prod",
            is_production=True,
            action="retry_stage",
            summary="make room on the disk",
            why="it is full",
            risk=Risk.MEDIUM,
            reversibility=Reversibility.REVERSIBLE,
            confidence=0.8,
            mode=Mode.SUGGEST,
            steps=(Step(index=0, summary="clean", target=target, do=do, undo=do, effect=EffectClass.PROBE),),
            runner="ledger",
            runner_version="1",
            policy_revision="1",
        )
        await plans.add(session, made, carrier="plan/of/a/test")


async def test_a_dashboard_there_shows_what_is_thought_here(follow, outside: Outside):
    """The page, followed to the letter: its table, its config, its row, its verdict, which follows the story to its end."""
    await outside.make_verdicts()
    following = await follow(config=writing_back())
    await until(following.is_connected, why="the database is listened to")
    await outside.sql.execute(blocks("sql")[2])

    [first] = await shown(outside, "the verdict comes, and that a person has to look", rests)
    [incident] = await following.incidents()
    assert (first["incident"], first["title"], first["severity"]) == (incident.id.shown, incident.title, "sev2")
    assert (first["subject"], first["service"]) == ("public.jobs/7", "jobs")
    assert [first[name] for name in UNKNOWN] == [None] * 4

    await explain(following, incident.id)
    [second] = await shown(outside, "cause and plan are there", lambda row: row["plan"] is not None)
    assert [second[name] for name in UNKNOWN] == ["The disk is full.", 0.8, "make room on the disk", 0.5]
    assert second["updated_at"] > first["updated_at"]

    await following.world.services.incidents.resolve(following.tenant.admin, incident.id)
    [last] = await shown(outside, "that it is over is there", lambda row: row["status"] == "resolved")
    assert last["cause"] == "The disk is full."
    assert await following.reasons() == []


async def test_what_is_as_it_should_be_is_not_written_and_what_is_not_is_mended(follow, outside: Outside):
    """The next connection offers everything again: a row that was changed or removed comes back, another is not touched."""
    await outside.make_verdicts()
    following = await follow(config=writing_back())
    await until(following.is_connected, why="the database is listened to")
    await outside.insert((1, "failed"), (2, "failed"), (3, "failed"))
    before = await shown(outside, "all three rest", rests, rests, rests)

    await following.change(name="paused for a while", status="paused")
    await until(following.is_left, why="nobody follows it")
    await outside.sql.execute("update suture_verdicts set title = 'mine' where incident = $1", before[1]["incident"])
    await outside.sql.execute("delete from suture_verdicts where incident = $1", before[2]["incident"])
    await following.change(status="active")
    after = await shown(outside, "all three are as they were", *map(like, before))

    assert after[0] == before[0]
    assert all(new["xmin"] != old["xmin"] for new, old in zip(after[1:], before[1:], strict=True))


async def test_a_missing_grant_stands_in_the_log_once_and_the_database_is_followed(follow, outside: Outside):
    """What fails there is an incident here as ever; once the grant is there the verdict is."""
    await outside.make_verdicts()
    await outside.sql.execute("revoke insert on suture_verdicts from suture_reader")
    following = await follow(config=writing_back())
    await until(following.reasons, why="the log says that nothing can be written")
    await outside.insert((1, "failed"))
    await following.heard("public.jobs/1 is failed")
    await outside.insert((2, "running"))
    await following.heard("public.jobs/2 is running")
    [reason] = await following.reasons()

    await outside.sql.execute("grant insert on suture_verdicts to suture_reader")
    await following.change(name="tried at once")
    await shown(outside, "the verdict is written", rests)

    assert "may not write to public.suture_verdicts: grant it" in reason
    assert await following.reasons() == [reason]


async def test_a_table_of_verdicts_with_the_trigger_is_no_loop(follow, outside: Outside):
    """Its rows are no signals, whoever writes them: an incident about a verdict would have a verdict of its own."""
    await outside.make_verdicts()
    await outside.sql.execute("""create trigger suture_notify after insert or update or delete on suture_verdicts
      for each row execute function suture_notify()""")
    following = await follow(config=writing_back())
    await until(following.is_connected, why="the database is listened to")
    await outside.insert((1, "failed"))
    await shown(outside, "the verdict rests", rests)
    await outside.sql.execute("update suture_verdicts set status = 'failed'")
    await outside.insert((2, "running"))
    await following.heard("public.jobs/2 is running")

    assert await following.signals() == ["public.jobs/1 is failed", "public.jobs/2 is running"]
    assert len(await following.incidents()) == 1


async def test_another_orgs_incidents_are_not_written(follow, found_org, outside: Outside):
    """Though both follow the same table, and each has an incident of the same row."""
    await outside.make_verdicts()
    ours, theirs = await follow(config=writing_back()), await follow(of=await found_org())
    await until(ours.is_connected, why="the database is listened to")
    await until(theirs.is_connected, why="it is listened to by another org")
    await outside.insert((1, "failed"))
    await until(theirs.incidents, why="they have an incident")
    [row] = await shown(outside, "our verdict rests", rests)

    [incident] = await ours.incidents()
    assert row["incident"] == incident.id.shown
    assert len(await theirs.incidents()) == 1
