"""The history leads to exactly the tables that the program declares."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, text

import gateway.auth.schema  # noqa: F401 - declares its tables
import registry.schema  # noqa: F401 - declares its tables
from tracking.database import open_database
from tracking.errors import SchemaOutdated
from tracking.revisions import head
from tracking.schema import metadata
from tracking.schema_history import migrate, require_head

READ_BEFORE = {
    "a": '{"mlflow.data.context":"train"}',
    "b": '{"mlflow.data.context":"train"}',
    "c": "{}",
    "d": '{"x":"y","mlflow.data.context":"té\'st"}',
}


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


def test_what_datasets_were_read_for_is_kept_on_the_way_up(
    tmp_path: Path,
) -> None:
    """Revision 0005 takes the context out of the tags, where older programs left it."""
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}", poolclass=NullPool)
    with engine.begin() as connection:
        migrate(connection, to="0004")
        for run_id, tags in READ_BEFORE.items():
            values = {"run_id": run_id, "dataset_id": 1, "tags": tags}
            connection.execute(
                text("INSERT INTO run_datasets VALUES (:run_id, :dataset_id, :tags)"), values
            )

    with engine.begin() as connection:
        migrate(connection)
        found = connection.execute(text("SELECT run_id, context FROM run_datasets")).all()

    assert dict(map(tuple, found)) == {"a": "train", "b": "train", "c": None, "d": "té'st"}


def test_only_the_head_is_accepted() -> None:
    require_head(head(), url="u")

    for other in (None, "0000", "9999"):
        with pytest.raises(SchemaOutdated, match="'u'"):
            require_head(other, url="u")
