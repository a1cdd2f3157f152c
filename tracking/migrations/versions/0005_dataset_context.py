"""Keep what a dataset was read for in a column of its own, so that runs can be searched by it."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_CONTEXT_TAG = "mlflow.data.context"


def upgrade() -> None:
    """Add the column, and fill it from the tags."""
    op.add_column("run_datasets", sa.Column("context", sa.Text))
    table = sa.table("run_datasets", sa.column("tags", sa.Text), sa.column("context", sa.Text))
    connection = op.get_bind()
    for (tags,) in connection.execute(sa.select(table.c.tags).distinct()).all():
        context = json.loads(tags).get(_CONTEXT_TAG)
        if context is not None:
            of = table.c.tags == tags
            connection.execute(sa.update(table).where(of).values(context=context))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("run_datasets", "context")
