"""Services are watched: where each monitor has read up to, what it has learnt, what it has found, and minutes that last."""

from alembic import op

revision = "0004"
down_revision = "0003"

_ROLLUP = """create table {name} (
  org_id uuid not null references orgs,
  environment text not null,
  service text not null,
  kind text not null,
  subject text not null,
  at timestamptz not null,
  count bigint not null,
  total double precision,
  lowest double precision,
  highest double precision,
  primary key (org_id, environment, service, at, kind, subject)
)"""
_TABLES = ("monitors", "monitor_series", "log_templates", "anomalies", "signal_rollups_1m", "signal_rollups_5m")
_STATEMENTS = (
    # A monitor reads in the order of transactions, and no further than the oldest that has not ended: none is passed by.
    "alter table signals add column written xid8 not null default pg_current_xact_id()",
    "create index signals_as_written on signals (org_id, environment, service, written, id)"
    " where environment is not null and service is not null",
    """create table monitors (
  org_id uuid not null references orgs,
  environment text not null,
  service text not null,
  is_awake boolean not null default true,
  version bigint not null default 0,
  read_written xid8 not null default '0',
  read_id uuid not null default '00000000-0000-0000-0000-000000000000',
  next_template bigint not null default 0,
  lines bigint not null default 0,
  updated_at timestamptz not null default suture.now(),
  primary key (org_id, environment, service)
)""",
    """create table monitor_series (
  org_id uuid not null references orgs,
  environment text not null,
  service text not null,
  detector text not null,
  subject text not null,
  state jsonb not null,
  seen_at timestamptz not null,
  primary key (org_id, environment, service, detector, subject)
)""",
    """create table log_templates (
  org_id uuid not null references orgs,
  environment text not null,
  service text not null,
  number bigint not null,
  template text not null,
  count bigint not null,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  exemplar text not null,
  placed bigint not null,
  absorbed bigint[] not null default '{}',
  primary key (org_id, environment, service, number)
)""",
    """create table anomalies (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  environment text not null,
  service text not null,
  detector text not null,
  subject text not null,
  status text not null check (status in ('suspected', 'confirmed', 'dismissed', 'over')),
  score double precision not null check (score between 0 and 1),
  reasons jsonb not null default '[]',
  odd integer not null,
  calm integer not null,
  flaps integer not null default 0,
  began_at timestamptz not null,
  last_odd_at timestamptz not null,
  seen_at timestamptz not null,
  ended_at timestamptz,
  incident_id uuid,
  primary key (org_id, id),
  foreign key (org_id, incident_id) references incidents (org_id, id)
)""",
    "create unique index anomalies_open on anomalies (org_id, environment, service, detector, subject)"
    " where status in ('suspected', 'confirmed')",
    "create index anomalies_by_service on anomalies (org_id, environment, service, began_at)",
    "create index anomalies_by_incident on anomalies (org_id, incident_id) where incident_id is not null",
    *(_ROLLUP.format(name=name) for name in ("signal_rollups_1m", "signal_rollups_5m")),
    *(
        statement
        for table in _TABLES
        for statement in (
            f"alter table {table} enable row level security",
            f"alter table {table} force row level security",
            f"create policy org on {table} using (org_id = suture.org()) with check (org_id = suture.org())",
        )
    ),
    "grant select, insert, update, delete on monitor_series, log_templates to suture_app",
    "grant select, insert, update on monitors, anomalies, signal_rollups_1m, signal_rollups_5m to suture_app",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
