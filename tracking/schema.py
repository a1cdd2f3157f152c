"""The tables of tracking, on the one metadata object that every room adds its tables to.

Callers import ``metadata`` to declare more tables; ``tracking/migrations`` holds the history that
makes them. Times are milliseconds since the epoch; a boolean beside a float marks NaN, because no
database orders or compares NaN as we need.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LONGEST_INDEXED = 200
"""Params and tags up to so many characters are found by an index."""

# SQLite counts rows only in a column that is exactly INTEGER.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")

experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", RowNumber, Identity(start=1), primary_key=True),
    Column("name", String(500), nullable=False, unique=True),
    Column("artifact_location", Text, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("creation_time", BigInteger, nullable=False),
    Column("last_update_time", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index(None, experiments.c.is_deleted, experiments.c.creation_time, experiments.c.experiment_id)

experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column("experiment_id", ForeignKey(experiments.c.experiment_id), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(256), primary_key=True),
    Column("experiment_id", ForeignKey(experiments.c.experiment_id), nullable=False),
    Column("run_name", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger),
    Column("artifact_uri", Text, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    # Deleting an experiment deletes its runs; restoring it restores those and no others.
    Column("is_deleted_with_experiment", Boolean, nullable=False),
    # None where it is not deleted, or was before this was written down.
    Column("deleted_at", BigInteger),
    CheckConstraint(
        "status IN ('RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED')", name="status"
    ),
)
Index(None, runs.c.experiment_id, runs.c.is_deleted, runs.c.start_time, runs.c.run_id)

params = Table(
    "params",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

tags = Table(
    "tags",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What is searched by value; longer texts would not fit into an index of PostgreSQL. There the same
# conditions stand in the migration alone: named here, they import that dialect in every process.
for table in (params, tags):
    is_short = text(f"length(value) <= {LONGEST_INDEXED}")
    is_long = text(f"length(value) > {LONGEST_INDEXED}")
    Index(None, table.c.key, table.c.value, sqlite_where=is_short)
    Index(f"ix_{table.name}_long", table.c.key, sqlite_where=is_long)

# The whole point is the key: logging it twice keeps one, and the key's order is the history's.
metrics = Table(
    "metrics",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("timestamp", BigInteger, primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("value", Float(53), primary_key=True),
    Column("is_nan", Boolean, primary_key=True),
    sqlite_with_rowid=False,
)

latest_metrics = Table(
    "latest_metrics",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("timestamp", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("value", Float(53), nullable=False),
    Column("is_nan", Boolean, nullable=False),
    # How many points the key has in the run; less where they came past tracking.sql_points.
    Column("points", BigInteger, nullable=False, server_default="0"),
    # A Tail of tracking.sql_buckets in MessagePack, of a curve that has buckets.
    Column("tail", LargeBinary),
    sqlite_with_rowid=False,
)

# Runs in the order of a metric, without looking at all of them.
Index(None, latest_metrics.c.key, latest_metrics.c.is_nan, latest_metrics.c.value)

# Beside the points of long curves; tracking.sql_buckets says what a level is.
metric_buckets = Table(
    "metric_buckets",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("first_step", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    # A Bucket of tracking.buckets, in MessagePack.
    Column("content", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

logged_models = Table(
    "logged_models",
    metadata,
    Column("model_id", String(64), primary_key=True),
    Column("experiment_id", ForeignKey(experiments.c.experiment_id), nullable=False),
    Column("name", Text, nullable=False),
    Column("model_type", Text, nullable=False),
    # No reference: a client may name a run of another server.
    Column("source_run_id", Text, nullable=False),
    Column("artifact_uri", Text, nullable=False),
    Column("status", String(32), nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("creation_time", BigInteger, nullable=False),
    Column("last_update_time", BigInteger, nullable=False),
)
Index(
    "ix_logged_models_by_creation",
    logged_models.c.experiment_id,
    logged_models.c.is_deleted,
    logged_models.c.creation_time,
    logged_models.c.model_id,
)

logged_model_params = Table(
    "logged_model_params",
    metadata,
    Column("model_id", ForeignKey(logged_models.c.model_id), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

logged_model_tags = Table(
    "logged_model_tags",
    metadata,
    Column("model_id", ForeignKey(logged_models.c.model_id), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

logged_model_metrics = Table(
    "logged_model_metrics",
    metadata,
    Column("model_id", ForeignKey(logged_models.c.model_id), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("run_id", ForeignKey(runs.c.run_id), primary_key=True),
    Column("timestamp", BigInteger, primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("value", Float(53), primary_key=True),
    Column("is_nan", Boolean, primary_key=True),
    Column("dataset_name", Text, nullable=False),
    Column("dataset_digest", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What a run made and what it read; no reference to the model, which may be another server's.
run_outputs = Table(
    "run_outputs",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id), primary_key=True),
    Column("model_id", String(64), primary_key=True),
    Column("step", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

run_model_inputs = Table(
    "run_model_inputs",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id), primary_key=True),
    Column("model_id", String(64), primary_key=True),
    sqlite_with_rowid=False,
)

datasets = Table(
    "datasets",
    metadata,
    Column("dataset_id", RowNumber, Identity(start=1), primary_key=True),
    Column("experiment_id", ForeignKey(experiments.c.experiment_id), nullable=False),
    Column("name", String(500), nullable=False),
    Column("digest", String(36), nullable=False),
    Column("source_type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("profile", Text, nullable=False),
    UniqueConstraint("experiment_id", "name", "digest"),
)

run_datasets = Table(
    "run_datasets",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id), primary_key=True),
    Column("dataset_id", ForeignKey(datasets.c.dataset_id), primary_key=True),
    # A JSON object of texts: tags of an input are read and written whole.
    Column("tags", Text, nullable=False),
    # Of the tags the one that runs are searched by.
    Column("context", Text),
    sqlite_with_rowid=False,
)
Index(None, run_datasets.c.dataset_id)
