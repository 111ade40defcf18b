"""The policy port over a real OPA server with the product's own policies."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from adapters.opa import OpaPolicy
from domain.base import PrincipalId
from domain.identity import Role
from domain.policy import AuthorizationFacts, TargetFacts, Tier
from tests.unit.adapters.opa_server import build_bundle, free_port, serving, until_ready, with_bundle
from tests.unit.adapters.policy_facts import (
    APPROVAL,
    AUTONOMY,
    BEN,
    DECISION,
    OTHER_ORG,
    PREFLIGHT,
    SERVICE,
    START,
    STEP,
    WHO,
    codes,
)


@pytest.fixture(scope="module")
async def policy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpaPolicy]:
    port = free_port()
    with serving(port, *with_bundle(build_bundle(tmp_path_factory.mktemp("bundle")))):
        await until_ready(port)
        async with OpaPolicy(f"http://127.0.0.1:{port}") as policy:
            yield policy


async def test_revision_is_that_of_the_bundle(policy: OpaPolicy) -> None:
    """Every answer names the revision of the bundle it was read from."""
    assert await policy.revision() == "r1"


async def test_role_with_the_action_is_authorized(policy: OpaPolicy) -> None:
    """An operator may start a run."""
    assert await policy.authorize(START) == ()


def asked_by(**change: Any) -> AuthorizationFacts:
    return START.model_copy(update={"principal": WHO.model_copy(update=change)})


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (START.model_copy(update={"action": "run.explode"}), "AZ001"),
        (asked_by(is_active=False), "AZ002"),
        (asked_by(org=OTHER_ORG), "AZ003"),
        (asked_by(roles=frozenset({Role.VIEWER})), "AZ004"),
        (START.model_copy(update={"action": "plan.execute", "principal": SERVICE}), "AZ005"),
        (asked_by(scopes=frozenset({"plan:*"})), "AZ006"),
    ],
)
async def test_refusal_names_its_code(policy: OpaPolicy, facts: AuthorizationFacts, code: str) -> None:
    """What may not be done is refused with the code of the reason."""
    assert code in codes(await policy.authorize(facts))


async def test_harmless_plan_runs_alone(policy: OpaPolicy) -> None:
    """A released automatic mode retries a stage in dev without a person."""
    answer = await policy.autonomy(AUTONOMY)

    assert (answer.tier, answer.threshold, answer.revision) == (Tier.AUTO, 0.6, "r1")


async def test_held_mode_asks_a_person(policy: OpaPolicy) -> None:
    """A held automatic mode turns auto into human and says so."""
    answer = await policy.autonomy(AUTONOMY.model_copy(update={"automatic_released": False}))

    assert (answer.tier, codes(answer.reasons)) == (Tier.HUMAN, {"AU010"})


async def test_rule_comes_with_durations(policy: OpaPolicy) -> None:
    """The approval rule names approvers, a ladder and four spans of time in their order."""
    rule = await policy.approval_rule(APPROVAL)

    assert (rule.quorum, rule.roles, rule.revision) == (1, (Role.APPROVER,), "r1")
    assert timedelta(0) < rule.remind_after < rule.escalate_after < rule.decide_within


async def test_independent_approver_may_decide(policy: OpaPolicy) -> None:
    """An active person with the role and without a hand in the plan decides."""
    assert await policy.may_decide(DECISION) == ()


async def test_excluded_principal_may_not_decide(policy: OpaPolicy) -> None:
    """Whoever had a hand in the plan is refused."""
    assert codes(await policy.may_decide(DECISION.model_copy(update={"principal": BEN}))) == {"AP002"}


async def test_sound_plan_passes_preflight(policy: OpaPolicy) -> None:
    """Nothing speaks against a plan whose targets are unchanged and whose dry-run passed."""
    assert await policy.preflight(PREFLIGHT) == ()


async def test_drifted_plan_fails_preflight(policy: OpaPolicy) -> None:
    """A target with another version speaks against the plan."""
    moved = STEP.model_copy(update={"target": TargetFacts(key="run/1", version="1", found="2")})

    assert codes(await policy.preflight(PREFLIGHT.model_copy(update={"steps": (moved,)}))) == {"PF005"}


async def test_rule_that_does_not_exist_is_undefined(policy: OpaPolicy) -> None:
    """A rule nobody wrote says nothing, which is not the same as null or false."""
    answer = await policy.ask("suture.authz", "nope", {})

    assert (answer.is_defined, answer.value) == (False, None)


async def test_fifty_questions_at_once_are_answered(policy: OpaPolicy) -> None:
    """Many questions share the pool; how long the slowest took is reported."""
    spent = sorted([await seconds(policy.autonomy(AUTONOMY)) for _ in range(100)])
    answers = await asyncio.gather(*(policy.autonomy(AUTONOMY) for _ in range(50)))

    sys.stdout.write(f"policy: p50 {spent[50] * 1e3:.2f} ms, p99 {spent[98] * 1e3:.2f} ms\n")
    assert {answer.tier for answer in answers} == {Tier.AUTO}


async def seconds(question: Awaitable[Any]) -> float:
    started = time.perf_counter()
    await question
    return time.perf_counter() - started


def test_principal_ids_are_told_as_shown() -> None:
    """Facts carry ids in the form people see, so both sides of a comparison are alike."""
    assert DECISION.model_dump(mode="json")["principal"] == PrincipalId.of(UUID(int=1)).shown
