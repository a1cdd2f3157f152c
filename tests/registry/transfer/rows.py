"""All that a database of ours keeps of runs and models, to be compared with another one's."""

from typing import Any

from sqlalchemy import select

from registry.schema import registered_model
from tracking.database import Database
from tracking.schema import metadata

KEPT_APART = {"transition", "change", "change_counter", "switch", "prepared", "worker", "active"}
"""How it came about, and who serves it."""

ITS_OWN = {
    "datasets": {"dataset_id"},
    "run_datasets": {"dataset_id"},
    "route": {"updated_at", "committed_epoch"},
    # Who registered a model is told to nobody.
    "registered_model": {"user_id"},
    # Sealing comes after registering, and its time is its own.
    "model_version": {"digest", "manifest", "seal_problem", "refused_why"},
}
"""Columns that each database numbers for itself."""


def rows_of(database: Database) -> dict[str, list[Any]]:
    """Return the sorted rows of every table that tells of runs and models."""
    assert registered_model.metadata is metadata
    with database.read() as connection:
        return {
            name: sorted(
                (
                    tuple(
                        (column.name, getattr(row, column.name))
                        for column in table.columns
                        if column.name not in ITS_OWN.get(name, ())
                    )
                    for row in connection.execute(select(table))
                ),
                key=str,
            )
            for name, table in metadata.tables.items()
            if name not in KEPT_APART
        }
