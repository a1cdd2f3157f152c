"""The registry in a database of MLflow's. Called by ``registry.transfer.mlflow_database``."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row

from registry.transfer.foreign_tables import ForeignTables
from registry.transfer.mlflow_tables import grouped, is_default, texts
from registry.transfer.source import PastModel, PastVersion
from registry.transfer.version_sources import find_model_id
from registry.wire import AliasEntry, ModelVersion, RegisteredModel
from tracking.wire import Tag

# What MLflow leaves in place of a version that was deleted, so that its number is not used again.
DELETED = "Deleted_Internal"


def read_models(tables: ForeignTables) -> Iterator[PastModel]:
    """Yield the registered models, each with its versions."""
    tags = _of_models(tables, "registered_model_tags")
    aliases = _of_models(tables, "registered_model_aliases")
    versions = _of_models(tables, "model_versions")
    version_tags = _of_models(tables, "model_version_tags")
    for row in filter(is_default, list(tables.rows("registered_models", order="name"))):
        model = RegisteredModel(
            name=row.name,
            creation_timestamp=row.creation_time or 0,
            last_updated_timestamp=row.last_updated_time or row.creation_time or 0,
            description=row.description,
            tags=texts(tags.get(row.name, ()), Tag),
            aliases=[
                AliasEntry(alias=a.alias, version=str(a.version)) for a in aliases.get(row.name, ())
            ],
        )
        tags_of = grouped(version_tags.get(row.name, ()), "version")
        rows = sorted(versions.get(row.name, ()), key=_number)
        yield PastModel(
            model=model,
            versions=[
                _to_version(found, tags_of.get(found.version, ()))
                for found in rows
                if found.current_stage != DELETED
            ],
            last_version=_number(rows[-1]) if rows else 0,
        )


def _of_models(tables: ForeignTables, name: str) -> dict[Any, list[Row[Any]]]:
    return grouped(filter(is_default, tables.rows(name)), "name")


def _number(row: Row[Any]) -> int:
    """Return the number of a version; SQLite keeps anything in a column of numbers."""
    return row.version if isinstance(row.version, int) else 0


def _to_version(row: Row[Any], tags: Sequence[Row[Any]]) -> PastVersion:
    version = ModelVersion(
        name=row.name,
        version=str(row.version),
        creation_timestamp=row.creation_time or 0,
        last_updated_timestamp=row.last_updated_time or row.creation_time or 0,
        user_id=row.user_id,
        current_stage=row.current_stage or "None",
        description=row.description,
        source=row.source or "",
        run_id=row.run_id or None,
        run_link=row.run_link or None,
        tags=texts(tags, Tag),
        model_id=find_model_id(row.source or ""),
    )
    return PastVersion(version, row.storage_location or row.source)
