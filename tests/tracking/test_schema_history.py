"""The history leads to exactly the tables that the program declares."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import gateway.auth.schema  # noqa: F401 - declares its tables
import registry.schema  # noqa: F401 - declares its tables
from tracking.database import open_database
from tracking.errors import SchemaOutdated
from tracking.schema import metadata
from tracking.schema_history import head, require_head


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_history_makes_what_the_metadata_declares(
    kind: str, fresh_database: Callable[[str], AbstractContextManager[str]]
) -> None:
    with fresh_database(kind) as uri:
        database = open_database(uri)
        with database.read() as connection:
            found = compare_metadata(MigrationContext.configure(connection), metadata)
        database.close()

    assert found == []


def test_only_the_head_is_accepted() -> None:
    require_head(head(), url="u")

    for other in (None, "0000", "9999"):
        with pytest.raises(SchemaOutdated, match="'u'"):
            require_head(other, url="u")
