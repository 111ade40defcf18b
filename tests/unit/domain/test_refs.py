"""What the id of an incident's workflow says."""

from hypothesis import given
from hypothesis import strategies as st

from domain.base import OrgId
from domain.refs import incident_workflow_id, told_by

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=30)


SERVICES = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@given(st.uuids(), NAMES, SERVICES, st.text("0123456789abcdef", min_size=64, max_size=64))
def test_an_incidents_workflow_tells_its_environment_and_service(org, environment, service, signature):
    """Whatever the service is called."""
    told = told_by(incident_workflow_id(OrgId(int=org.int), environment, service, signature))
    assert told == (environment, service)
