"""Connectors: who may send signals from outside, and the log of what they sent."""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS = (
    """create table connectors (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  kind text not null,
  name text not null,
  config jsonb not null default '{}',
  scopes text[] not null default '{}',
  status text not null default 'active' check (status in ('active', 'paused')),
  created_at timestamptz not null default suture.now(),
  updated_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  unique (org_id, name)
)""",
    """create table connector_secrets (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  connector_id uuid not null,
  key_id text not null,
  sealed bytea not null,
  created_at timestamptz not null default suture.now(),
  expires_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, connector_id) references connectors (org_id, id) on delete cascade
)""",
    "create index connector_secrets_by_connector on connector_secrets (org_id, connector_id)",
    """create table connector_deliveries (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  connector_id uuid not null,
  received_at timestamptz not null default suture.now(),
  status text not null check (status in ('taken', 'partly', 'refused')),
  stored integer not null default 0,
  duplicates integer not null default 0,
  refused integer not null default 0,
  size integer not null,
  reason text,
  primary key (org_id, id),
  foreign key (org_id, connector_id) references connectors (org_id, id) on delete cascade
)""",
    "create index connector_deliveries_by_connector on connector_deliveries (org_id, connector_id, id)",
    *(
        statement
        for table in ("connectors", "connector_secrets", "connector_deliveries")
        for statement in (
            f"alter table {table} enable row level security",
            f"alter table {table} force row level security",
            f"create policy org on {table} using (org_id = suture.org()) with check (org_id = suture.org())",
        )
    ),
    "grant select, insert, update, delete on connectors, connector_secrets to suture_app",
    "grant select, insert, delete on connector_deliveries to suture_app",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
