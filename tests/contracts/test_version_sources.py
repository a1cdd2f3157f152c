"""Where a version's files are, by the source a client sent: on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import msgspec
import pytest
from msgspec import Struct

from registry.sql_store import SqlRegistryStore
from registry.wire import CreateModel, CreateVersion, ModelVersion, SetAlias
from tracking.database import open_database
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.sql_store import SqlTrackingStore
from tracking.wire import CreateExperiment, CreateRun, LogOutputs, ModelOutput, Tag
from tracking.wire_models import CreateLoggedModel

IS_PROMPT = Tag(key="mlflow.prompt.is_prompt", value="true")
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


def test_a_copy_comes_from_the_run_of_the_first_and_is_noted_by_its_number(stores: Stores) -> None:
    run_id = stores.start()
    first = stores.register(f"runs:/{run_id}/forest", run_id=run_id)
    stores.registry.set_alias(SetAlias(name="Iris", alias="best", version=first.version))

    copies = [
        stores.register(source)
        for source in ("models:/Iris@best", "models:/Iris/1", "MODELS:/Iris/1")
    ]

    assert {(v.source, v.run_id, stores.place(v)) for v in copies} == {
        ("models:/Iris/1", run_id, f"mlflow-artifacts:/0/{run_id}/artifacts/forest")
    }
    latest = [
        stores.register(f"models:/Iris{ref}").source for ref in ("/latest", "@Latest", "/none")
    ]
    assert latest == ["models:/Iris/4", "models:/Iris/5", "models:/Iris/6"]


def test_a_copy_of_what_is_elsewhere_is_there_too(stores: Stores) -> None:
    stores.register("s3://bucket/m")

    copies = [stores.register(f"models:/Iris/{number}") for number in (1, 2)]

    assert [stores.place(copy) for copy in copies] == ["s3://bucket/m"] * 2


def test_a_ring_of_copies_ends(stores: Stores) -> None:
    """A model that was deleted and made anew from its own copy."""
    stores.registry.create_model(CreateModel(name="Copy"))
    stores.register("s3://bucket/m")
    copy = stores.register("models:/Iris/1", name="Copy")
    stores.registry.delete_model("Iris")
    stores.registry.create_model(CreateModel(name="Iris"))

    stores.register("models:/Copy/1")

    assert stores.place(copy) in {"models:/Copy/1", "models:/Iris/1"}


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("models:/Iris/9", ResourceMissing),
        ("models:/Iris/Staging", ResourceMissing),
        ("models:/Nobody/1", ResourceMissing),
        ("models:/Iris/99999999999999999999", InvalidRequest),
        ("models:/Iris/x", InvalidRequest),
        ("models:/Iris@missing", InvalidRequest),
        ("models:/Iris/1/x", InvalidRequest),
        ("models:/Iris", InvalidRequest),
        ("models:/", InvalidRequest),
        ("models:", InvalidRequest),
        ("models://host/Iris/1", InvalidRequest),
        ("models:/m-nope", InvalidRequest),
        ("models:/Prompt/1", InvalidRequest),
    ],
)
def test_a_copy_of_nothing_is_refused(stores: Stores, source: str, error: type[Exception]) -> None:
    stores.register("s3://b/m")
    stores.registry.create_model(CreateModel(name="Prompt", tags=[IS_PROMPT]))
    stores.register("dummy-source", name="Prompt", tags=[IS_PROMPT])

    with pytest.raises(error):
        stores.register(source)


@pytest.mark.parametrize("fields", [{"run_id": "another"}, {"run_id": ""}, {"model_id": UNKNOWN}])
def test_a_copy_of_another_run_or_model_is_refused(stores: Stores, fields: dict[str, str]) -> None:
    run_id = stores.start()
    stores.register(f"runs:/{run_id}/forest", run_id=run_id)

    with pytest.raises(InvalidRequest, match="must be those of that version"):
        stores.register("models:/Iris/1", **fields)


def test_only_what_names_its_run_or_model_reaches_their_files(stores: Stores) -> None:
    """Which of the sources that lead to files of ours are taken, and with what beside them."""
    run_id, other = stores.start(), stores.start()
    model_id = stores.make(run_id)
    runs, models = f"mlflow-artifacts:/0/{run_id}/artifacts", folder_of(model_id)
    sources = [
        *(f"runs:/{run_id}/m", f"runs:/{run_id}", f"runs://host/{run_id}/m", "runs:/", "runs:"),
        *("mlflow-artifacts:", "mlflow-artifacts:/", "mlflow-artifacts:/0"),
        *(f"mlflow-artifacts:/0/{run_id}", runs, f"{runs}/m", f"{runs}x/m", f"{runs}/../m"),
        *(f"{runs}/%252e%252e/{other}", f"mlflow-artifacts:/0/%25{ord(run_id[0]):x}{run_id[1:]}"),
        runs.replace(":/", "://evil.example/"),
        *(models, f"{models}/a", f"models:/{model_id}", f"models:/{model_id}/a"),
    ]
    beside: tuple[dict[str, str], ...] = (
        {},
        {"run_id": run_id},
        {"run_id": other},
        {"model_id": model_id},
    )

    taken = {(s, *fields) for s in sources for fields in beside if is_taken(stores, s, fields)}

    by_run = [f"runs:/{run_id}/m", f"runs:/{run_id}", runs, f"{runs}/m"]
    by_model = [models, f"{models}/a", f"models:/{model_id}"]
    assert taken == {(s, "run_id") for s in by_run} | {(s, "model_id") for s in by_model}


def is_taken(stores: Stores, source: str, fields: dict[str, str]) -> bool:
    try:
        stores.register(source, **fields)
    except InvalidRequest:
        return False
    return True


def test_a_version_without_a_place_is_refused(stores: Stores) -> None:
    sources = [
        "s3:",
        "s3:/",
        "s3://",
        "s3://b",
        "s3:b/m",
        "s3://b\\..\\x",
        "s3://b/./m",
        "http://x",
    ]

    taken = [source for source in [*sources, "s3://b//m/"] if is_taken(stores, source, {})]

    assert taken == ["s3://b//m/"]


def test_a_model_in_another_store_is_recorded_as_sent(stores: Stores) -> None:
    request = CreateExperiment(name="far", artifact_location="s3://bucket/far")
    experiment_id = stores.tracking.create_experiment(request)
    run_id = stores.start(experiment_id)
    model_id = stores.make(run_id, experiment_id=experiment_id)

    version = stores.register(f"models:/{model_id}", model_id=model_id)

    assert stores.place(version) == f"models:/{model_id}"


@pytest.mark.parametrize("source", ["dummy-source", "prompt-template"])
def test_a_version_of_a_prompt_is_made_and_has_no_files(stores: Stores, source: str) -> None:
    """MLflow's clients send these words as the source of every version of a prompt."""
    version = stores.register(source, tags=[IS_PROMPT])

    assert version.source == source
    assert stores.place(version) == source


def test_the_source_of_prompts_is_theirs_alone(stores: Stores) -> None:
    run_id = stores.start()

    for source, fields in (
        ("dummy-source", {}),
        ("dummy-source", {"run_id": run_id}),
        ("s3://b/m", {"tags": [IS_PROMPT]}),
    ):
        with pytest.raises(InvalidRequest, match="that of prompts"):
            stores.register(source, **fields)
