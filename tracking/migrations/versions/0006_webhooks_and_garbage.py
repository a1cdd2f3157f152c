"""Make the tables of webhooks and of garbage, and write down when runs are deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables and the column."""
    op.add_column("runs", sa.Column("deleted_at", sa.BigInteger))
    op.create_table(
        "garbage",
        sa.Column("folder", sa.String(1024), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("folder", name="pk_garbage"),
    )
    _make_webhooks()


def downgrade() -> None:
    """Drop them."""
    op.drop_table("delivery")
    op.drop_table("webhook")
    op.drop_table("garbage")
    op.drop_column("runs", "deleted_at")


def _make_webhooks() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("secret", sa.Text),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook"),
    )
    op.create_index("webhook_by_creation", "webhook", ["created_at", "id"])
    op.create_table(
        "delivery",
        sa.Column("webhook", sa.String(36), nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("claimed_by", sa.String(256)),
        sa.Column("claimed_until", sa.BigInteger, nullable=False),
        sa.Column("problem", sa.Text),
        sa.PrimaryKeyConstraint("webhook", "seq", name="pk_delivery"),
        sa.ForeignKeyConstraint(
            ["webhook"], ["webhook.id"], name="fk_delivery_webhook", ondelete="CASCADE"
        ),
    )
    op.create_index("delivery_by_model", "delivery", ["webhook", "model", "seq"])
