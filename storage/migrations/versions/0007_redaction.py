"""An org says what is taken out of its signals beside what is taken out of everybody's."""

from alembic import op

revision = "0007"
down_revision = "0006"

_STATEMENTS = (
    """create table redaction_policies (
  org_id uuid primary key references orgs,
  policy jsonb not null,
  changed_at timestamptz not null default suture.now()
)""",
    "alter table redaction_policies enable row level security",
    "alter table redaction_policies force row level security",
    "create policy org on redaction_policies using (org_id = suture.org()) with check (org_id = suture.org())",
    "grant select, insert, update on redaction_policies to suture_app",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
