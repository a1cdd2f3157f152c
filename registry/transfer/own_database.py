"""A database of ours, to be written out: what our stores tell, and what only it knows.

Next hop: ``registry.transfer.store_source``.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace
from sqlalchemy import select

from registry.schema import registered_model
from registry.sql_store import SqlRegistryStore
from registry.transfer.source import Broken, PastModel
from registry.transfer.store_source import StoreSource
from tracking.database import Database
from tracking.past import PastLoggedModel, PastRun
from tracking.schema import logged_models, runs
from tracking.sql_experiments import find_number
from tracking.sql_logged_models import to_models
from tracking.sql_store import SqlTrackingStore
from tracking.wire import Experiment, Metric


class OwnDatabase:
    """One database of ours. For one thread.

    Args:
        database: Open; closed with this.
    """

    folder = None

    def __init__(self, database: Database) -> None:
        self.name = f"the database {database.url}"
        self._database = database
        registry = SqlRegistryStore(database, seal=lambda _model, _version: None, actor="export")
        self._stores = StoreSource(
            self.name, SqlTrackingStore(database), registry, are_searches_whole=True
        )

    def experiments(self) -> Iterator[Experiment | Broken]:
        """See ``Source``."""
        yield from self._stores.experiments()

    def count_runs(self, experiment_id: str) -> int | None:
        """See ``Source``."""
        return self._stores.count_runs(experiment_id)

    def runs(self, experiment_id: str) -> Iterator[Sequence[PastRun | Broken]]:
        """See ``Source``."""
        for batch in self._stores.runs(experiment_id):
            found = [past for past in batch if isinstance(past, PastRun)]
            of = select(runs.c.run_id, runs.c.deleted_at).where(
                runs.c.run_id.in_([past.id for past in found])
            )
            with self._database.read() as connection:
                times = {row.run_id: row.deleted_at for row in connection.execute(of)}
            yield [replace(past, deleted_at=times.get(past.id)) for past in found]

    def points(self, run: PastRun) -> Iterator[Sequence[Metric]]:
        """See ``Source``."""
        yield from self._stores.points(run)

    def logged_models(self, experiment_id: str) -> Iterator[PastLoggedModel | Broken]:
        """See ``Source``."""
        of = logged_models.c.experiment_id == find_number(experiment_id)
        with self._database.read() as connection:
            rows = connection.execute(select(logged_models).where(of)).all()
            models = to_models(connection, rows)
        for row, model in zip(rows, models, strict=True):
            yield PastLoggedModel(model, row.is_deleted)

    def models(self) -> Iterator[PastModel | Broken]:
        """See ``Source``."""
        with self._database.read() as connection:
            query = select(registered_model.c.name, registered_model.c.last_version)
            highest = {row.name: row.last_version for row in connection.execute(query)}
        for found in self._stores.models():
            if isinstance(found, PastModel):
                yield replace(found, last_version=highest[found.model.name])

    def left_out(self) -> Mapping[str, int]:
        """See ``Source``."""
        return self._stores.left_out()

    def close(self) -> None:
        """See ``Source``."""
        self._stores.close()
        self._database.close()
