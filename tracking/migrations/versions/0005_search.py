"""Let runs be searched by what they read a dataset for, and be put in the order of a metric."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_CONTEXT_TAG = "mlflow.data.context"
_INDEX = "ix_latest_metrics_key_is_nan_value"


def upgrade() -> None:
    """Add the column, fill it from the tags, and make the index."""
    op.create_index(_INDEX, "latest_metrics", ["key", "is_nan", "value"])
    op.add_column("run_datasets", sa.Column("context", sa.Text))
    table = sa.table("run_datasets", sa.column("tags", sa.Text), sa.column("context", sa.Text))
    connection = op.get_bind()
    for (tags,) in connection.execute(sa.select(table.c.tags).distinct()).all():
        context = json.loads(tags).get(_CONTEXT_TAG)
        if context is not None:
            of = table.c.tags == tags
            connection.execute(sa.update(table).where(of).values(context=context))


def downgrade() -> None:
    """Drop both."""
    op.drop_index(_INDEX)
    op.drop_column("run_datasets", "context")
