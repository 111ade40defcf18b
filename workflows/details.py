"""What the engine's Web UI shows of a workflow: a sentence, and the attributes people filter by."""

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from domain.base import OrgId

STAGE = SearchAttributeKey.for_keyword("Stage")
OUTCOME = SearchAttributeKey.for_keyword("Outcome")
PLAN_ID = SearchAttributeKey.for_keyword("PlanId")
ORG_ID = SearchAttributeKey.for_keyword("OrgId")
SERVICE = SearchAttributeKey.for_keyword("Service")
ENVIRONMENT = SearchAttributeKey.for_keyword("Environment")
NEEDS_HUMAN = SearchAttributeKey.for_bool("NeedsHuman")
APPROVAL_DEADLINE = SearchAttributeKey.for_datetime("ApprovalDeadline")

KEYS = (STAGE, OUTCOME, PLAN_ID, ORG_ID, SERVICE, ENVIRONMENT, NEEDS_HUMAN, APPROVAL_DEADLINE)


def at_start(org: OrgId, stage: str) -> TypedSearchAttributes:
    """What a story is found by from its start, which costs no event of its own."""
    return TypedSearchAttributes([SearchAttributePair(ORG_ID, str(org)), SearchAttributePair(STAGE, stage)])


def show(sentence: str) -> None:
    """The one line that says where the workflow stands; nothing personal, nothing from a log."""
    workflow.set_current_details(sentence)


def enter(stage: str, sentence: str, *known: SearchAttributeUpdate[Any], needs_human: bool = False) -> None:
    """As `show`, where the story may stay for longer, with what is `known` by then: people filter by that.

    Each call is an event of the history and a write to the index that the Web UI searches, as dear as an activity: what
    passes in a moment is only shown.
    """
    show(sentence)
    workflow.upsert_search_attributes([STAGE.value_set(stage), NEEDS_HUMAN.value_set(needs_human), *known])
