"""Each detector has a mode in each org, and an anomaly says in which it was found and what speaks for it."""

from alembic import op

revision = "0005"
down_revision = "0004"

_MODES = "mode in ('shadow', 'alert', 'page')"
_STATEMENTS = (
    f"""create table detectors (
  org_id uuid not null references orgs,
  detector text not null,
  mode text not null check ({_MODES}),
  by_person boolean not null,
  changed_at timestamptz not null default suture.now(),
  primary key (org_id, detector)
)""",
    "alter table detectors enable row level security",
    "alter table detectors force row level security",
    "create policy org on detectors using (org_id = suture.org()) with check (org_id = suture.org())",
    "grant select, insert, update on detectors to suture_app",
    f"alter table anomalies add column mode text not null default 'alert' check ({_MODES})",
    "alter table anomalies alter column mode drop default",
    "alter table anomalies add column evidence jsonb not null default '{}'",
    "create index anomalies_by_detector on anomalies (org_id, detector, id)",
    "create index incidents_by_service on incidents (org_id, environment, service, started_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
