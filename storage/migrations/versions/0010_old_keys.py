"""Keys by which a repeated signal is known are removed once they are old, a young one by nobody; tried letters are found."""

from alembic import op

revision = "0010"
down_revision = "0009"

_STATEMENTS = (
    "create index outbox_tried on outbox (due_at, id) where delivered_at is null and attempts > 0",
    "create index signal_keys_by_time on signal_keys using brin (created_at)",
    "grant select, delete on signal_keys to suture_upkeep",
    "create policy upkeep on signal_keys to suture_upkeep using (created_at < suture.now() - interval '1 day')",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
