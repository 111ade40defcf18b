"""In a storm one signal stands for the log lines that are like it, and says for how many."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("alter table signals add column count integer not null default 1 check (count > 0)")
