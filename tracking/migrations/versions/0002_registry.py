"""Make the tables of the registry: models, versions, routes, switches, workers, the change log."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NAME = sa.String(256)
STAGE = sa.String(20)


def upgrade() -> None:
    """Make the tables, the one counter, and the rule of one Production version."""
    _make_models()
    _make_versions()
    _make_log()
    _make_routes()
    _make_fleet()


def _make_models() -> None:
    _make(
        "registered_model",
        ("name",),
        sa.Column("name", NAME, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("user_id", NAME),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("last_version", sa.Integer, nullable=False),
    )
    _make(
        "registered_model_tag",
        ("model", "key"),
        sa.Column("model", NAME, nullable=False),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("value", sa.Text),
        _of_model("registered_model_tag"),
    )


def _make_versions() -> None:
    _make(
        "model_version",
        ("model", "version"),
        sa.Column("model", NAME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("stage", STAGE, nullable=False),
        sa.Column("production_of", NAME),
        sa.Column("description", sa.Text),
        sa.Column("user_id", NAME),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("storage", sa.Text),
        sa.Column("run_id", NAME),
        sa.Column("run_link", sa.Text),
        sa.Column("model_id", NAME),
        sa.Column("digest", sa.String(64)),
        sa.Column("manifest", sa.Text),
        sa.Column("seal_problem", sa.Text),
        sa.Column("refused_why", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("production_of", name="one_production"),
        _of_model("model_version"),
    )
    op.create_index("model_version_by_run", "model_version", ["run_id"])
    op.create_index("model_version_by_storage", "model_version", ["storage"])
    _make_version_details()


def _make_version_details() -> None:
    _make(
        "model_version_tag",
        ("model", "version", "key"),
        sa.Column("model", NAME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("value", sa.Text),
        _of_version("model_version_tag"),
    )
    _make(
        "model_alias",
        ("model", "alias"),
        sa.Column("model", NAME, nullable=False),
        sa.Column("alias", NAME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        _of_version("model_alias"),
    )


def _make_log() -> None:
    _make(
        "transition",
        ("id",),
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("from_stage", STAGE, nullable=False),
        sa.Column("to_stage", STAGE, nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("switch", sa.Integer),
    )
    op.create_index("transition_by_model", "transition", ["model", "id"])
    counter = _make(
        "change_counter",
        ("id",),
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counter, [{"id": 1, "seq": 0}])
    _make(
        "change",
        ("seq",),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text),
    )


def _make_routes() -> None:
    _make(
        "route",
        ("model",),
        sa.Column("model", NAME, nullable=False),
        sa.Column("committed_epoch", sa.Integer, nullable=False),
        sa.Column("committed", sa.Text, nullable=False),
        sa.Column("desired", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    _make(
        "switch",
        ("seq",),
        sa.Column("seq", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("state", STAGE, nullable=False),
        sa.Column("lane", STAGE, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("promotion", sa.Text),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("why", sa.Text),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("deadline_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
    )
    op.create_index("switch_by_model", "switch", ["model", "seq"])
    op.create_index("switch_by_state", "switch", ["state"])
    _make(
        "prepared",
        ("switch", "worker"),
        sa.Column("switch", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("worker", NAME, nullable=False),
        sa.Column("ok", sa.Integer, nullable=False),
        sa.Column("why", sa.Text),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def _make_fleet() -> None:
    _make(
        "worker",
        ("id",),
        sa.Column("id", NAME, nullable=False),
        sa.Column("host", NAME, nullable=False),
        sa.Column("idx", sa.Integer, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("state", STAGE, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger, nullable=False),
    )
    _make(
        "active",
        ("worker", "model"),
        sa.Column("worker", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["worker"], ["worker.id"], name="fk_active_worker", ondelete="CASCADE"
        ),
    )
    flag = _make(
        "registry_flag",
        ("name",),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("value", sa.String(40), nullable=False),
    )
    op.bulk_insert(flag, [{"name": "single_production", "value": "true"}])


def _make(name: str, key: tuple[str, ...], *items: sa.schema.SchemaItem) -> sa.Table:
    return op.create_table(name, *items, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"))


def _of_model(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["model"],
        ["registered_model.name"],
        name=f"fk_{table}_model",
        onupdate="CASCADE",
        ondelete="CASCADE",
    )


def _of_version(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["model", "version"],
        ["model_version.model", "model_version.version"],
        name=f"fk_{table}_model_version",
        onupdate="CASCADE",
        ondelete="CASCADE",
    )
