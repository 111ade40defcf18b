"""A connector that follows a database knows how far it has read there."""

from alembic import op

revision = "0008"
down_revision = "0007"

_STATEMENTS = (
    """create table connector_positions (
  org_id uuid not null references orgs,
  connector_id uuid not null,
  place text not null,
  position text,
  updated_at timestamptz not null default suture.now(),
  primary key (org_id, connector_id),
  foreign key (org_id, connector_id) references connectors (org_id, id) on delete cascade
)""",
    "alter table connector_positions enable row level security",
    "alter table connector_positions force row level security",
    "create policy org on connector_positions using (org_id = suture.org()) with check (org_id = suture.org())",
    "grant select, insert, update, delete on connector_positions to suture_app",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
