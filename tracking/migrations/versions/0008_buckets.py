"""Count the points of each metric, and file those of long curves in buckets."""

import sqlalchemy as sa
from alembic import context, op

from tracking.sql_buckets import LONG, Curve, file_anew

revision = "0008"
down_revision = "0007"

_RUNS_AT_ONCE = 500


def upgrade() -> None:
    """Make the columns and the table, and fill them from the points."""
    points = sa.Column("points", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("latest_metrics", points)
    op.add_column("latest_metrics", sa.Column("tail", sa.LargeBinary))
    op.create_table(
        "metric_buckets",
        sa.Column("run_id", sa.String(256), nullable=False),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("first_step", sa.BigInteger, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", "level", "number", name="pk_metric_buckets"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_metric_buckets_run_id"),
        sqlite_with_rowid=False,
    )
    _fill()


def downgrade() -> None:
    """Drop them."""
    op.drop_table("metric_buckets")
    op.drop_column("latest_metrics", "tail")
    op.drop_column("latest_metrics", "points")


def _fill() -> None:
    """Count and file the points of some runs after the other, and tell how far it is."""
    connection, tell = op.get_bind(), context.config.attributes["tell"]
    run_ids = connection.execute(sa.text("SELECT run_id FROM runs ORDER BY run_id")).scalars().all()
    for start in range(0, len(run_ids), _RUNS_AT_ONCE):
        some = run_ids[start : start + _RUNS_AT_ONCE]
        bound = {"first": some[0], "last": some[-1], "long": LONG}
        connection.execute(_COUNT, bound)
        for run_id, key in connection.execute(_LONG_ONES, bound).all():
            file_anew(connection, Curve(run_id, key))
        tell(f"Points of {start + len(some):,} of {len(run_ids):,} runs are counted.")


_COUNT = sa.text(
    "UPDATE latest_metrics SET points = (SELECT count(*) FROM metrics WHERE"
    " metrics.run_id = latest_metrics.run_id AND metrics.key = latest_metrics.key)"
    " WHERE run_id BETWEEN :first AND :last"
)
_LONG_ONES = sa.text(
    "SELECT run_id, key FROM latest_metrics"
    " WHERE run_id BETWEEN :first AND :last AND points >= :long"
)
