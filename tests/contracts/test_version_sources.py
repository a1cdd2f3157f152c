"""Where a version's files are, by the source a client sent: on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import msgspec
import pytest
from msgspec import Struct

from registry.sql_store import SqlRegistryStore
from registry.wire import CreateModel, CreateVersion, ModelVersion
from tracking.database import open_database
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.sql_store import SqlTrackingStore
from tracking.wire import CreateExperiment, CreateRun, LogOutputs, ModelOutput, Tag
from tracking.wire_models import CreateLoggedModel

UNKNOWN = "m-" + "0" * 32


class Stores(Struct, frozen=True):
    """Both stores over one database, with a model to give versions to."""

    tracking: SqlTrackingStore
    registry: SqlRegistryStore

    def start(self, experiment_id: str = "0") -> str:
        return self.tracking.create_run(CreateRun(experiment_id=experiment_id)).info.run_id

    def make(self, run_id: str, *, step: int = 0, experiment_id: str = "0") -> str:
        request = CreateLoggedModel(
            experiment_id=experiment_id, name="forest", source_run_id=run_id
        )
        model_id = self.tracking.create_logged_model(request).info.model_id
        outputs = [ModelOutput(model_id=model_id, step=step)]
        self.tracking.log_outputs(LogOutputs(run_id=run_id, models=outputs))
        return model_id

    def register(self, source: str, **fields: object) -> ModelVersion:
        request = msgspec.convert({"name": "Iris", "source": source, **fields}, CreateVersion)
        return self.registry.create_version(request)

    def place(self, version: ModelVersion) -> str:
        return self.registry.download_uri(version.name, version.version)


@pytest.fixture(params=["sqlite", "postgresql"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    kind = "postgres_uri" if request.param == "postgresql" else "sqlite_uri"
    database = open_database(request.getfixturevalue(kind))
    registry = SqlRegistryStore(database, seal=lambda _model, _version: None, actor="ann")
    registry.create_model(CreateModel(name="Iris"))
    yield Stores(SqlTrackingStore(database), registry)
    database.close()


def folder_of(model_id: str) -> str:
    return f"mlflow-artifacts:/0/models/{model_id}/artifacts"


def test_a_runs_uri_stands_for_the_model_that_the_run_made(stores: Stores) -> None:
    """Whichever has the highest step; the source stays as it was sent."""
    run_id = stores.start()
    latest = stores.make(run_id, step=7)
    stores.make(run_id, step=2)

    version = stores.register(f"runs:/{run_id}/forest", run_id=run_id)

    assert stores.place(version) == folder_of(latest)
    assert version.source == f"runs:/{run_id}/forest"


def test_a_runs_uri_of_no_model_stands_for_a_folder_of_the_run(stores: Stores) -> None:
    run_id, other = stores.start(), stores.start()
    stores.make(other)

    version = stores.register(f"runs:/{run_id}/forest", run_id=run_id)

    assert stores.place(version) == f"mlflow-artifacts:/0/{run_id}/artifacts/forest"


def test_a_model_that_failed_or_was_deleted_is_passed_over(stores: Stores) -> None:
    run_id = stores.start()
    whole = stores.make(run_id, step=1)
    stores.tracking.finalize_logged_model(stores.make(run_id, step=2), "LOGGED_MODEL_UPLOAD_FAILED")
    stores.tracking.delete_logged_model(stores.make(run_id, step=3))

    version = stores.register(f"runs:/{run_id}/forest", run_id=run_id)

    assert stores.place(version) == folder_of(whole)


def test_a_logged_models_uri_brings_its_run_and_is_noted_in_its_tag(stores: Stores) -> None:
    run_id = stores.start()
    model_id = stores.make(run_id)

    first, second = (stores.register(f"models:/{model_id}", model_id=model_id) for _ in range(2))

    assert (stores.place(first), first.run_id) == (folder_of(model_id), run_id)
    [tag] = stores.tracking.logged_model(model_id).info.tags
    assert (tag.key, msgspec.json.decode(tag.value)) == (
        "mlflow.modelVersions",
        [{"name": "Iris", "version": number} for number in (first.version, second.version)],
    )


def test_a_tag_that_somebody_else_wrote_is_replaced(stores: Stores) -> None:
    model_id = stores.make(stores.start())
    tag = Tag(key="mlflow.modelVersions", value="not JSON")
    stores.tracking.set_logged_model_tags(model_id, [tag])

    stores.register(f"models:/{model_id}", model_id=model_id)

    [tag] = stores.tracking.logged_model(model_id).info.tags
    assert msgspec.json.decode(tag.value) == [{"name": "Iris", "version": "1"}]


@pytest.mark.parametrize("fields", [{}, {"model_id": UNKNOWN}])
def test_a_logged_models_uri_needs_its_id(stores: Stores, fields: dict[str, str]) -> None:
    model_id = stores.make(stores.start())

    with pytest.raises(InvalidRequest, match="is not of model_id"):
        stores.register(f"models:/{model_id}", **fields)


def test_a_version_of_a_logged_model_that_is_not_there_is_not_made(stores: Stores) -> None:
    with pytest.raises(ResourceMissing, match="Logged model"):
        stores.register(f"models:/{UNKNOWN}", model_id=UNKNOWN)

    assert stores.registry.model("Iris").latest_versions == []


def test_a_copied_version_has_the_files_of_the_first(stores: Stores) -> None:
    model_id = stores.make(stores.start())
    first = stores.register(f"models:/{model_id}", model_id=model_id)

    copied = stores.register(f"models:/Iris/{first.version}")

    assert stores.place(copied) == folder_of(model_id)


@pytest.mark.parametrize("source", ["models:/Iris/9", "models:/Iris/x", "models:/Iris@a"])
def test_a_copy_of_nothing_is_recorded_as_sent(stores: Stores, source: str) -> None:
    assert stores.place(stores.register(source)) == source


def test_a_model_in_another_store_is_recorded_as_sent(stores: Stores) -> None:
    request = CreateExperiment(name="far", artifact_location="s3://bucket/far")
    experiment_id = stores.tracking.create_experiment(request)
    run_id = stores.start(experiment_id)
    model_id = stores.make(run_id, experiment_id=experiment_id)

    version = stores.register(f"models:/{model_id}", model_id=model_id)

    assert stores.place(version) == f"models:/{model_id}"


def test_a_version_of_a_prompt_is_made_and_has_no_files(stores: Stores) -> None:
    """MLflow's client sends this word as the source of every version of a prompt."""
    version = stores.register("dummy-source")

    assert version.source == "dummy-source"
    assert stores.place(version) == "dummy-source"
