"""Let params and tags be found by their values, and be gone through in the order of them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_SHORT = sa.text("length(value) <= 200")
_LONG = sa.text("length(value) > 200")


def upgrade() -> None:
    """Make the indexes."""
    for table in ("params", "tags"):
        op.create_index(
            f"ix_{table}_key_value",
            table,
            ["key", "value"],
            sqlite_where=_SHORT,
            postgresql_where=_SHORT,
        )
        op.create_index(
            f"ix_{table}_long", table, ["key"], sqlite_where=_LONG, postgresql_where=_LONG
        )


def downgrade() -> None:
    """Drop them."""
    for table in ("params", "tags"):
        op.drop_index(f"ix_{table}_key_value")
        op.drop_index(f"ix_{table}_long")
