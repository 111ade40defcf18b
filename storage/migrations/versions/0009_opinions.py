"""What is thought of an incident is found by the incident, and incidents by when they have ended."""

from alembic import op

revision = "0009"
down_revision = "0008"

_STATEMENTS = (
    "create index hypotheses_by_incident on hypotheses (org_id, incident_id, created_at desc)",
    "create index incidents_by_end on incidents (org_id, ended_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
