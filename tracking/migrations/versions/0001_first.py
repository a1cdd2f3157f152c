"""Make the tables of tracking: experiments, runs, params, tags, metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _make_experiments()
    _make_runs()
    _make_texts("params")
    _make_texts("tags")
    _make_metrics()


def _make_experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("experiment_id", ROW_NUMBER, sa.Identity(start=1), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("artifact_location", sa.Text, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
        sa.Column("creation_time", sa.BigInteger, nullable=False),
        sa.Column("last_update_time", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", name="pk_experiments"),
        sa.UniqueConstraint("name", name="uq_experiments_name"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_experiments_is_deleted_creation_time_experiment_id",
        "experiments",
        ["is_deleted", "creation_time", "experiment_id"],
    )
    op.create_table(
        "experiment_tags",
        sa.Column("experiment_id", ROW_NUMBER, nullable=False),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", "key", name="pk_experiment_tags"),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.experiment_id"],
            name="fk_experiment_tags_experiment_id",
        ),
        sqlite_with_rowid=False,
    )


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(256), nullable=False),
        sa.Column("experiment_id", ROW_NUMBER, nullable=False),
        sa.Column("run_name", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("start_time", sa.BigInteger, nullable=False),
        sa.Column("end_time", sa.BigInteger),
        sa.Column("artifact_uri", sa.Text, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
        sa.Column("is_deleted_with_experiment", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.experiment_id"], name="fk_runs_experiment_id"
        ),
        sa.CheckConstraint(
            "status IN ('RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED')",
            name=op.f("ck_runs_status"),
        ),
    )
    op.create_index(
        "ix_runs_experiment_id_is_deleted_start_time_run_id",
        "runs",
        ["experiment_id", "is_deleted", "start_time", "run_id"],
    )


def _make_texts(table: str) -> None:
    op.create_table(
        table,
        sa.Column("run_id", sa.String(256), nullable=False),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=f"fk_{table}_run_id"),
        sqlite_with_rowid=False,
    )


def _make_metrics() -> None:
    point = ["timestamp", "step", "value", "is_nan"]
    for table, key in (
        ("metrics", ["run_id", "key", *point]),
        ("latest_metrics", ["run_id", "key"]),
    ):
        op.create_table(
            table,
            sa.Column("run_id", sa.String(256), nullable=False),
            sa.Column("key", sa.String(250), nullable=False),
            sa.Column("timestamp", sa.BigInteger, nullable=False),
            sa.Column("step", sa.BigInteger, nullable=False),
            sa.Column("value", sa.Float(53), nullable=False),
            sa.Column("is_nan", sa.Boolean, nullable=False),
            sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"),
            sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=f"fk_{table}_run_id"),
            sqlite_with_rowid=False,
        )
