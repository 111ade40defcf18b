"""The schema of the foundation, which stands beside this file as SQL."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("select 1")  # the driver opens the transaction with the first ordinary statement
    script = Path(__file__).with_suffix(".sql").read_text()
    driver = op.get_bind().connection.dbapi_connection
    driver.run_async(lambda connection: connection.execute(script))
