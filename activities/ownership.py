"""A plan is executed by one workflow only: the one that is named after it."""

from temporalio import activity

from domain.errors import ForbiddenError
from domain.refs import PlanRef


def check_is_its_own(ref: PlanRef) -> None:
    """Raises ForbiddenError: another workflow than `fix/{org}/{plan}` asks, whoever has started it."""
    if activity.info().workflow_id != ref.workflow_id:
        raise ForbiddenError("only the plan's own remediation acts on it")
