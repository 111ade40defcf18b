"""The platform tells the workflows of every org when it stops them, and knows which org was here first."""

from alembic import op

revision = "0002"
down_revision = "0001"

_STATEMENTS = (
    "grant insert (org_id, kind, payload) on outbox to suture_platform",
    "create policy platform on outbox for insert to suture_platform with check (true)",
    "alter table orgs add column is_first boolean not null default false",
    # The owner, too, sees only the org of its transaction, and there is none here.
    "alter table orgs no force row level security",
    "update orgs set is_first = true where id = (select id from orgs order by created_at, id limit 1)",
    "alter table orgs force row level security",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
