"""Make the tables of logged models, and of what runs read and made."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _make_models()
    _make_texts("logged_model_params")
    _make_texts("logged_model_tags")
    _make_metrics()
    _make_models_of_runs()
    _make_datasets()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("run_datasets")
    op.drop_table("datasets")
    op.drop_table("run_model_inputs")
    op.drop_table("run_outputs")
    op.drop_table("logged_model_metrics")
    op.drop_table("logged_model_tags")
    op.drop_table("logged_model_params")
    op.drop_table("logged_models")


def _make_models() -> None:
    op.create_table(
        "logged_models",
        sa.Column("model_id", sa.String(64), nullable=False),
        sa.Column("experiment_id", ROW_NUMBER, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model_type", sa.Text, nullable=False),
        sa.Column("source_run_id", sa.Text, nullable=False),
        sa.Column("artifact_uri", sa.Text, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
        sa.Column("creation_time", sa.BigInteger, nullable=False),
        sa.Column("last_update_time", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("model_id", name="pk_logged_models"),
        _refer("logged_models", "experiment_id", "experiments"),
    )
    op.create_index(
        "ix_logged_models_by_creation",
        "logged_models",
        ["experiment_id", "is_deleted", "creation_time", "model_id"],
    )


def _make_texts(table: str) -> None:
    op.create_table(
        table,
        sa.Column("model_id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("model_id", "key", name=f"pk_{table}"),
        _refer(table, "model_id", "logged_models"),
        sqlite_with_rowid=False,
    )


def _make_metrics() -> None:
    key = ["model_id", "key", "run_id", "timestamp", "step", "value", "is_nan"]
    op.create_table(
        "logged_model_metrics",
        sa.Column("model_id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(256), nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("is_nan", sa.Boolean, nullable=False),
        sa.Column("dataset_name", sa.Text, nullable=False),
        sa.Column("dataset_digest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(*key, name="pk_logged_model_metrics"),
        _refer("logged_model_metrics", "model_id", "logged_models"),
        _refer("logged_model_metrics", "run_id", "runs"),
        sqlite_with_rowid=False,
    )


def _make_models_of_runs() -> None:
    op.create_table(
        "run_outputs",
        sa.Column("run_id", sa.String(256), nullable=False),
        sa.Column("model_id", sa.String(64), nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "model_id", name="pk_run_outputs"),
        _refer("run_outputs", "run_id", "runs"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_model_inputs",
        sa.Column("run_id", sa.String(256), nullable=False),
        sa.Column("model_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "model_id", name="pk_run_model_inputs"),
        _refer("run_model_inputs", "run_id", "runs"),
        sqlite_with_rowid=False,
    )


def _make_datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("dataset_id", ROW_NUMBER, sa.Identity(start=1), nullable=False),
        sa.Column("experiment_id", ROW_NUMBER, nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("digest", sa.String(36), nullable=False),
        sa.Column("source_type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("schema", sa.Text, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", name="pk_datasets"),
        sa.UniqueConstraint(
            "experiment_id", "name", "digest", name="uq_datasets_experiment_id_name_digest"
        ),
        _refer("datasets", "experiment_id", "experiments"),
    )
    op.create_table(
        "run_datasets",
        sa.Column("run_id", sa.String(256), nullable=False),
        sa.Column("dataset_id", ROW_NUMBER, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "dataset_id", name="pk_run_datasets"),
        _refer("run_datasets", "run_id", "runs"),
        _refer("run_datasets", "dataset_id", "datasets"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_datasets_dataset_id", "run_datasets", ["dataset_id"])


def _refer(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.{column}"], name=f"fk_{table}_{column}")
