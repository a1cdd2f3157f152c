"""The registry's tables: models, versions, stages, routes, switches and the one change log.

Times are milliseconds since the epoch. ``route``, ``switch``, ``transition`` and ``change`` keep
the model's name without a foreign key: they outlive the model.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from tracking.schema import metadata

NAME_LENGTH = 256
KEY_LENGTH = 250

registered_model = Table(
    "registered_model",
    metadata,
    Column("name", String(NAME_LENGTH), primary_key=True),
    Column("description", Text),
    Column("user_id", String(NAME_LENGTH)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("last_version", Integer, nullable=False),
)

registered_model_tag = Table(
    "registered_model_tag",
    metadata,
    Column("model", String(NAME_LENGTH), primary_key=True),
    Column("key", String(KEY_LENGTH), primary_key=True),
    Column("value", Text),
    ForeignKeyConstraint(
        ["model"], ["registered_model.name"], onupdate="CASCADE", ondelete="CASCADE"
    ),
)

model_version = Table(
    "model_version",
    metadata,
    Column("model", String(NAME_LENGTH), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("stage", String(20), nullable=False),
    Column("production_of", String(NAME_LENGTH)),
    Column("description", Text),
    Column("user_id", String(NAME_LENGTH)),
    Column("source", Text, nullable=False),
    Column("storage", Text),
    Column("run_id", String(NAME_LENGTH)),
    Column("run_link", Text),
    Column("model_id", String(NAME_LENGTH)),
    Column("digest", String(64)),
    Column("manifest", Text),
    Column("seal_problem", Text),
    Column("refused_why", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["model"], ["registered_model.name"], onupdate="CASCADE", ondelete="CASCADE"
    ),
    UniqueConstraint("production_of", name="one_production"),
    Index("model_version_by_run", "run_id"),
    Index("model_version_by_storage", "storage"),
)

model_version_tag = Table(
    "model_version_tag",
    metadata,
    Column("model", String(NAME_LENGTH), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("key", String(KEY_LENGTH), primary_key=True),
    Column("value", Text),
    ForeignKeyConstraint(
        ["model", "version"],
        ["model_version.model", "model_version.version"],
        onupdate="CASCADE",
        ondelete="CASCADE",
    ),
)

model_alias = Table(
    "model_alias",
    metadata,
    Column("model", String(NAME_LENGTH), primary_key=True),
    Column("alias", String(NAME_LENGTH), primary_key=True),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(
        ["model", "version"],
        ["model_version.model", "model_version.version"],
        onupdate="CASCADE",
        ondelete="CASCADE",
    ),
)

transition = Table(
    "transition",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("model", String(NAME_LENGTH), nullable=False),
    Column("version", Integer, nullable=False),
    Column("from_stage", String(20), nullable=False),
    Column("to_stage", String(20), nullable=False),
    Column("actor", String(NAME_LENGTH), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("switch", Integer),
    Index("transition_by_model", "model", "id"),
)

change_counter = Table(
    "change_counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
)

change = Table(
    "change",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(40), nullable=False),
    Column("model", String(NAME_LENGTH), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text),
)

route = Table(
    "route",
    metadata,
    Column("model", String(NAME_LENGTH), primary_key=True),
    Column("committed_epoch", Integer, nullable=False),
    Column("committed", Text, nullable=False),
    Column("desired", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

switch = Table(
    "switch",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("model", String(NAME_LENGTH), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("lane", String(20), nullable=False),
    Column("route", Text, nullable=False),
    Column("promotion", Text),
    Column("actor", String(NAME_LENGTH), nullable=False),
    Column("reason", Text, nullable=False),
    Column("why", Text),
    Column("opened_at", BigInteger, nullable=False),
    Column("deadline_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Index("switch_by_model", "model", "seq"),
    Index("switch_by_state", "state"),
)

prepared = Table(
    "prepared",
    metadata,
    Column("switch", Integer, primary_key=True, autoincrement=False),
    Column("worker", String(NAME_LENGTH), primary_key=True),
    Column("ok", Integer, nullable=False),
    Column("why", Text),
    Column("at", BigInteger, nullable=False),
)

worker = Table(
    "worker",
    metadata,
    Column("id", String(NAME_LENGTH), primary_key=True),
    Column("host", String(NAME_LENGTH), nullable=False),
    Column("idx", Integer, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
)

active = Table(
    "active",
    metadata,
    Column("worker", String(NAME_LENGTH), primary_key=True),
    Column("model", String(NAME_LENGTH), primary_key=True),
    Column("epoch", Integer, nullable=False),
    ForeignKeyConstraint(["worker"], ["worker.id"], ondelete="CASCADE"),
)

registry_flag = Table(
    "registry_flag",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", String(40), nullable=False),
)

webhook = Table(
    "webhook",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("description", Text),
    # Encrypted by the gateway; this room never sees what it says.
    Column("secret", Text),
    Column("status", String(16), nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("webhook_by_creation", "created_at", "id"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("webhook", String(36), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String(36), nullable=False),
    Column("model", String(NAME_LENGTH), nullable=False),
    Column("body", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("claimed_by", String(NAME_LENGTH)),
    Column("claimed_until", BigInteger, nullable=False),
    Column("problem", Text),
    ForeignKeyConstraint(["webhook"], ["webhook.id"], ondelete="CASCADE"),
    Index("delivery_by_model", "webhook", "model", "seq"),
)

garbage = Table(
    "garbage",
    metadata,
    Column("folder", String(1024), primary_key=True),
    Column("at", BigInteger, nullable=False),
)
