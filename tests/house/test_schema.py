"""The history of the schema ends in the tables that the program uses."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import gateway.auth.schema
import registry.schema
from tracking.database import open_database
from tracking.schema import metadata

OWNERS = (gateway.auth.schema, registry.schema)


def test_migrations_make_the_tables_of_the_metadata(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'fresh.db'}")

    with database.read() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)

    database.close()
    assert all(owner.metadata is metadata for owner in OWNERS)
    assert difference == []
