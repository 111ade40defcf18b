"""What is thought of an incident, in a form that any table can hold."""

from domain.base import IncidentId
from domain.incident import Severity, Status
from domain.opinion import LONGEST, Opinion


def opinion(**said):
    known = {"incident": IncidentId(int=1), "subject": None, "service": "jobs", "title": "late"}
    return Opinion.model_validate(known | {"status": Status.OPEN, "severity": Severity.SEV2} | said)


def test_a_long_text_is_cut():
    """Its last letter shows that; one that fits stays as it is."""
    found = opinion(title="x" * (LONGEST + 1), cause="y" * LONGEST)
    assert found.title == "x" * (LONGEST - 1) + "…"
    assert found.cause == "y" * LONGEST


def test_what_nobody_knows_is_not_invented():
    """No cause, no confidence, no plan, no risk."""
    found = opinion()
    assert (found.subject, found.cause, found.confidence, found.plan, found.risk) == (None,) * 5
