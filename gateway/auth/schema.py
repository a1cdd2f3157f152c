"""The tables behind the door: tokens, and the one secret that all workers share.

On the metadata that all rooms share; migration 0003 makes them. Times are milliseconds since the
epoch.
"""

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table, Text

from tracking.schema import metadata

token = Table(
    "token",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("permissions", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

secret = Table(
    "secret",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
