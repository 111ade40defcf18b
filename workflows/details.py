"""What the engine's Web UI shows of a workflow: a sentence, and the attributes people filter by."""

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from domain.base import OrgId
    from domain.refs import MonitorRef, told_by

STAGE = SearchAttributeKey.for_keyword("Stage")
OUTCOME = SearchAttributeKey.for_keyword("Outcome")
PLAN_ID = SearchAttributeKey.for_keyword("PlanId")
ORG_ID = SearchAttributeKey.for_keyword("OrgId")
SERVICE = SearchAttributeKey.for_keyword("Service")
ENVIRONMENT = SearchAttributeKey.for_keyword("Environment")
NEEDS_HUMAN = SearchAttributeKey.for_bool("NeedsHuman")
APPROVAL_DEADLINE = SearchAttributeKey.for_datetime("ApprovalDeadline")

KEYS = (STAGE, OUTCOME, PLAN_ID, ORG_ID, SERVICE, ENVIRONMENT, NEEDS_HUMAN, APPROVAL_DEADLINE)


def of_child(org: OrgId, stage: str) -> TypedSearchAttributes:
    """What a child is found by from its start."""
    return TypedSearchAttributes([SearchAttributePair(ORG_ID, str(org)), SearchAttributePair(STAGE, stage)])


def of_incident(org: OrgId, workflow_id: str) -> TypedSearchAttributes:
    """What an incident's story is found by from its start; its first stage that lasts is still to come."""
    environment, service = told_by(workflow_id)
    return _of_service(org, environment, service)


def of_monitor(ref: MonitorRef) -> TypedSearchAttributes:
    return _of_service(ref.org, ref.environment, ref.service)


def _of_service(org: OrgId, environment: str, service: str) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(ORG_ID, str(org)),
            SearchAttributePair(ENVIRONMENT, environment),
            SearchAttributePair(SERVICE, service),
        ]
    )


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


def end(outcome: str, *, needs_human: bool) -> None:
    """As `enter`, in a workflow's last task: how it ended, and whether a person has to look."""
    enter(outcome, f"ended: **{outcome}**", OUTCOME.value_set(outcome), needs_human=needs_human)
