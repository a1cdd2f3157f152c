"""A database that MLflow's server keeps, of 1.x to 3.x, read table by table.

Tables and columns that its version does not have are read as if they were empty. Queries are
short, so that nobody who still writes to a SQLite file waits for long. Next hop:
``registry.transfer.foreign_tables``.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sqlalchemy import column

from registry.transfer import mlflow_tables
from registry.transfer.foreign_tables import ForeignDatabase, ForeignTables, parse_url
from registry.transfer.mlflow_registry import read_models
from registry.transfer.source import Broken, PastModel
from tracking.errors import InvalidRequest
from tracking.past import PastLoggedModel, PastRun
from tracking.wire import Experiment, Metric

_RUNS_AT_ONCE = 500
_POINTS_AT_ONCE = 20_000
_LEFT_OUT = {
    "traces": "trace_info",
    "evaluation datasets": "evaluation_datasets",
    "scorers": "scorers",
    "webhooks": "webhooks",
}


class MlflowDatabase:
    """One database of MLflow's. For one thread.

    Args:
        uri: As MLflow's server takes it, for SQLite or PostgreSQL.

    Raises:
        InvalidRequest: It is not a database of MLflow's, or is damaged.
        ResourceMissing: There is no such file.
        Unavailable: It does not answer.
    """

    def __init__(self, uri: str) -> None:
        self._database = ForeignDatabase(parse_url(uri), mlflow_tables.LAYOUT)
        self.folder = self._database.folder
        self.name = f"the MLflow database {self._database.shown}"
        if not self._database.has("experiments", "lifecycle_stage"):
            self.close()
            raise InvalidRequest(f"{self._database.shown!r} is no database of MLflow's.")

    def experiments(self) -> Iterator[Experiment | Broken]:
        """See ``Source``."""
        with self._database.tables() as tables:
            tags = mlflow_tables.grouped(tables.rows("experiment_tags"), "experiment_id")
            for row in tables.rows("experiments", order="experiment_id"):
                if mlflow_tables.is_default(row):
                    yield mlflow_tables.to_experiment(row, tags)

    def count_runs(self, experiment_id: str) -> int | None:
        """See ``Source``."""
        with self._database.tables() as tables:
            return tables.count("runs", column("experiment_id") == int(experiment_id))

    def runs(self, experiment_id: str) -> Iterator[Sequence[PastRun | Broken]]:
        """See ``Source``."""
        last = ""
        while True:
            with self._database.tables() as tables:
                found = _runs_after(tables, int(experiment_id), last)
            if not found:
                return
            yield found
            last = found[-1].id

    def points(self, run: PastRun) -> Iterator[Sequence[Metric]]:
        """See ``Source``."""
        with self._database.tables() as tables:
            rows = tables.rows("metrics", column("run_uuid") == run.id)
            while part := mlflow_tables.to_points(islice(rows, _POINTS_AT_ONCE)):
                yield part

    def logged_models(self, experiment_id: str) -> Iterator[PastLoggedModel | Broken]:
        """See ``Source``."""
        of = column("experiment_id") == int(experiment_id)
        with self._database.tables() as tables:
            rows = list(tables.rows("logged_models", of, order="model_id"))
            params, tags, metrics = (
                mlflow_tables.grouped(tables.rows(f"logged_model_{kind}", of), "model_id")
                for kind in ("params", "tags", "metrics")
            )
        for row in rows:
            yield mlflow_tables.to_logged_model(row, params, tags, metrics)

    def models(self) -> Iterator[PastModel | Broken]:
        """See ``Source``."""
        with self._database.tables() as tables:
            yield from read_models(tables)

    def left_out(self) -> Mapping[str, int]:
        """See ``Source``."""
        with self._database.tables() as tables:
            elsewhere = sum(not mlflow_tables.is_default(row) for row in tables.rows("experiments"))
            counts = {kind: tables.count(name) for kind, name in _LEFT_OUT.items()}
        counts["experiments of other workspaces"] = elsewhere
        return {kind: count for kind, count in counts.items() if count}

    def close(self) -> None:
        """See ``Source``."""
        self._database.close()


def _runs_after(tables: ForeignTables, experiment_id: int, last: str) -> list[PastRun]:
    """Return the next runs of an experiment, in the order of their ids."""
    of = (column("experiment_id") == experiment_id, column("run_uuid") > last)
    rows = list(tables.rows("runs", *of, order="run_uuid", limit=_RUNS_AT_ONCE))
    ids = [row.run_uuid for row in rows]
    texts = {
        name: mlflow_tables.grouped(tables.rows(name, column("run_uuid").in_(ids)), "run_uuid")
        for name in ("params", "tags")
    }
    linked = _links(tables, ids)
    return [mlflow_tables.to_run(row, texts, linked.get(row.run_uuid, [])) for row in rows]


def _links(tables: ForeignTables, run_ids: Sequence[str]) -> dict[str, list[mlflow_tables.Link]]:
    """Return what each run read and made."""
    read = list(
        tables.rows(
            "inputs", column("destination_type") == "RUN", column("destination_id").in_(run_ids)
        )
    )
    made = list(tables.rows("inputs", column("source_id").in_(run_ids)))
    tags = mlflow_tables.grouped(
        tables.rows("input_tags", column("input_uuid").in_([row.input_uuid for row in read])),
        "input_uuid",
    )
    named = {row.source_id for row in read if row.source_type == "DATASET"}
    found = {
        row.dataset_uuid: row
        for row in tables.rows("datasets", column("dataset_uuid").in_(list(named)))
    }
    links: dict[str, list[mlflow_tables.Link]] = {}
    for row in read:
        if row.source_id in found:
            link = mlflow_tables.to_dataset_input(
                found[row.source_id], tags.get(row.input_uuid, [])
            )
            links.setdefault(row.destination_id, []).append(link)
    for row in made:
        model = mlflow_tables.find_model_link(row)
        if model is not None:
            links.setdefault(row.source_id, []).append(model)
    return links
