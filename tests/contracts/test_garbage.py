"""What is removed for good and what is kept: over SQLite and over PostgreSQL, with real files."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, func, select, update

from registry.garbage import Found, GarbageCollector, Item, Scope
from registry.schema import garbage, model_version
from registry.sql_store import SqlRegistryStore
from registry.wire import CreateModel, CreateVersion
from tracking.artifacts import ArtifactStore, open_artifacts
from tracking.clock import now_ms
from tracking.database import Database, open_database
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.folder_artifacts import FolderArtifacts
from tracking.schema import metadata
from tracking.sql_store import SqlTrackingStore
from tracking.wire import (
    CreateExperiment,
    CreateRun,
    Dataset,
    DatasetInput,
    LogBatch,
    LogInputs,
    LogOutputs,
    Metric,
    ModelOutput,
    Param,
    Tag,
)
from tracking.wire_models import CreateLoggedModel

LATER_MS = 10**15
IRIS = Dataset(name="iris", digest="abc", source_type="local", source="{}", schema="s", profile="p")


class Killed(BaseException):
    """Stands for the end of the process."""


class House:
    """A database and a folder of artifacts, and a collector of their garbage."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.folder = folder
        self.database: Database = open_database(uri)
        self.artifacts: ArtifactStore = open_artifacts(str(folder))
        self.tracking = SqlTrackingStore(self.database)
        self.registry = SqlRegistryStore(
            self.database, seal=lambda _model, _version: None, actor="ann"
        )
        self.collector = GarbageCollector(self.database, self.artifacts)

    def run(self, experiment_id: str = "0") -> str:
        """Make a run with something of everything."""
        info = self.tracking.create_run(CreateRun(experiment_id=experiment_id)).info
        metrics = [Metric(key="acc", value=1.0, timestamp=1, step=0)]
        self.tracking.log_batch(
            LogBatch(
                run_id=info.run_id,
                metrics=metrics,
                params=[Param(key="p", value="1")],
                tags=[Tag(key="t", value="1")],
            )
        )
        self.tracking.log_inputs(
            LogInputs(run_id=info.run_id, datasets=[DatasetInput(dataset=IRIS)])
        )
        self.artifacts.put(f"{experiment_id}/{info.run_id}/artifacts/model/MLmodel", b"x")
        return info.run_id

    def model(self, run_id: str = "", experiment_id: str = "0") -> str:
        """Make a logged model, measured by its run."""
        request = CreateLoggedModel(experiment_id=experiment_id, name="m", source_run_id=run_id)
        model_id = self.tracking.create_logged_model(request).info.model_id
        if run_id:
            point = Metric(key="acc", value=1.0, timestamp=1, step=0, model_id=model_id)
            self.tracking.log_batch(LogBatch(run_id=run_id, metrics=[point]))
            made = [ModelOutput(model_id=model_id, step=0)]
            self.tracking.log_outputs(LogOutputs(run_id=run_id, models=made))
        self.artifacts.put(f"{experiment_id}/models/{model_id}/artifacts/MLmodel", b"x")
        return model_id

    def find(self, **scope: tuple[str, ...]) -> Found:
        return self.collector.find(Scope(until_ms=LATER_MS, **scope))

    def purge(self, found: Found | None = None) -> set[str]:
        removed = self.collector.purge(found or self.find(), LATER_MS, lambda _item: None)
        return {item.id for item in removed}

    def files(self) -> list[str]:
        return sorted(file.path for file in self.artifacts.walk())

    def rows(self) -> dict[str, int]:
        """Return how many rows each table has that has any."""
        with self.database.read() as connection:
            counts = {
                name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for name, table in metadata.tables.items()
            }
        return {name: count for name, count in counts.items() if count}


ONE_IS_ENOUGH = pytest.mark.parametrize("house", ["sqlite"], indirect=True)
"""For what is about files and choices, and not about how a database takes turns."""


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    name = "postgres_uri" if request.param == "postgresql" else "sqlite_uri"
    made = House(request.getfixturevalue(name), tmp_path / "artifacts")
    yield made
    made.database.close()


def test_a_deleted_experiment_goes_with_everything_and_leaves_nothing(house: House) -> None:
    before = house.rows()
    experiment = house.tracking.create_experiment(
        CreateExperiment(name="e", tags=[Tag(key="a", value="b")])
    )
    run = house.run(experiment)
    model = house.model(run, experiment)
    house.tracking.delete_experiment(experiment)

    removed = house.purge()

    assert removed == {experiment, run, model}
    assert house.rows() == before
    assert house.files() == []
    assert house.purge() == set()


@ONE_IS_ENOUGH
def test_what_is_not_deleted_is_not_touched(house: House) -> None:
    living, deleted = house.run(), house.run()
    house.model()
    house.tracking.delete_run(deleted)
    files = house.files()

    removed = house.purge()

    assert removed == {deleted}
    assert house.tracking.run(living).data.params == [Param(key="p", value="1")]
    assert [path for path in files if deleted not in path] == house.files()
    with pytest.raises(ResourceMissing):
        house.tracking.run(deleted)


@ONE_IS_ENOUGH
def test_only_what_was_deleted_long_ago_goes(house: House) -> None:
    run = house.run()
    house.tracking.delete_run(run)
    soon = Scope(until_ms=now_ms() - 60_000)

    recent = house.collector.find(soon)

    assert recent.items == []
    assert [item.id for item in house.find().items] == [run]
    with pytest.raises(InvalidRequest, match="more recently"):
        house.collector.find(Scope(until_ms=soon.until_ms, run_ids=(run,)))


def rewrite(house: House, of: ColumnElement[bool], **values: object) -> None:
    """Make versions what older ones may be, and new ones may not."""
    changed = update(model_version).where(of).values(**values)
    house.database.write(lambda connection: connection.execute(changed))


def test_what_a_version_is_made_of_is_kept(house: House) -> None:
    house.registry.create_model(CreateModel(name="A"))
    named, pathed, sourced = house.run(), house.run(), house.run()
    model = house.model()
    for source, run_id, model_id in [
        (f"runs:/{named}/model", named, None),
        (f"mlflow-artifacts:/0/{pathed}/artifacts/model", pathed, None),
        (f"runs:/{sourced}/model", sourced, None),
        (f"models:/{model}", None, model),
    ]:
        request = CreateVersion(name="A", source=source, run_id=run_id, model_id=model_id)
        house.registry.create_version(request)
    rewrite(house, model_version.c.run_id.in_([pathed, sourced]), run_id=None)
    for run in (named, pathed, sourced):
        house.tracking.delete_run(run)
    house.tracking.delete_logged_model(model)
    files, rows = house.files(), house.rows()

    found = house.find()
    removed = house.purge(found)

    assert {kept.id for kept in found.kept} == {named, pathed, sourced, model}
    assert "of 'A' is made of it" in found.kept[0].why
    assert (removed, house.files(), house.rows()) == (set(), files, rows)


def test_a_run_whose_logged_model_lives_is_kept_until_that_is_deleted(house: House) -> None:
    run = house.run()
    model = house.model(run)
    house.tracking.delete_run(run)
    first = house.find()

    house.tracking.delete_logged_model(model)

    assert first.items == []
    assert [(kept.id, model in kept.why) for kept in first.kept] == [(run, True)]
    assert house.purge() == {run, model}


@ONE_IS_ENOUGH
def test_an_experiment_stays_as_long_as_anything_of_it_does(house: House) -> None:
    experiment = house.tracking.create_experiment(CreateExperiment(name="e"))
    kept, gone = house.run(experiment), house.run(experiment)
    house.registry.create_model(CreateModel(name="A"))
    source = f"runs:/{kept}/model"
    house.registry.create_version(CreateVersion(name="A", source=source, run_id=kept))
    house.tracking.delete_experiment(experiment)

    found = house.find()

    assert {(k.kind, k.id) for k in found.kept} == {("run", kept), ("experiment", experiment)}
    assert house.purge(found) == {gone}
    house.tracking.restore_experiment(experiment)
    assert house.tracking.run(kept).info.lifecycle_stage == "active"


@ONE_IS_ENOUGH
def test_only_what_is_named_goes(house: House) -> None:
    runs = [house.run() for _ in range(3)]
    experiment = house.tracking.create_experiment(CreateExperiment(name="e"))
    inner = house.run(experiment)
    house.tracking.delete_experiment(experiment)
    for run in runs:
        house.tracking.delete_run(run)
    house.artifacts.put(f"0/{'a' * 32}/artifacts/f", b"a stray")

    one = house.purge(house.find(run_ids=(runs[0],)))
    other = house.purge(house.find(experiment_ids=(experiment,)))

    assert (one, other) == ({runs[0]}, {experiment, inner})
    for scope in ({"run_ids": ("nowhere",)}, {"experiment_ids": ("0",)}, {"model_ids": ("m",)}):
        with pytest.raises(InvalidRequest, match="no deleted"):
            house.find(**scope)
    assert any("a" * 32 in path for path in house.files())


def test_what_was_restored_since_the_look_stays_whole(house: House) -> None:
    run, other = house.run(), house.run()
    for each in (run, other):
        house.tracking.delete_run(each)
    found = house.find()
    house.tracking.restore_run(run)

    removed = house.purge(found)

    assert removed == {other}
    assert house.tracking.run(run).data.params == [Param(key="p", value="1")]
    assert house.artifacts.get_bytes(f"0/{run}/artifacts/model/MLmodel") == b"x"


def test_a_version_made_since_the_look_keeps_its_run(house: House) -> None:
    house.registry.create_model(CreateModel(name="A"))
    run = house.run()
    house.tracking.delete_run(run)
    found = house.find()
    source = f"runs:/{run}/model"
    house.registry.create_version(CreateVersion(name="A", source=source, run_id=run))

    assert house.purge(found) == set()
    assert house.files() == [f"0/{run}/artifacts/model/MLmodel"]


@pytest.mark.parametrize("call", [0, 2])
def test_killed_anywhere_the_next_call_finishes(house: House, call: int) -> None:
    before = house.rows()
    experiment = house.tracking.create_experiment(CreateExperiment(name="e"))
    for _ in range(2):
        house.model(house.run(experiment), experiment)
    house.tracking.delete_experiment(experiment)
    dying = GarbageCollector(house.database, Dying(house.folder, call))

    with pytest.raises(Killed):
        dying.purge(house.find(), LATER_MS, lambda _item: None)
    left = house.rows().get("garbage", 0)
    house.purge()

    assert left > 0
    assert house.rows() == before
    assert house.files() == []


@ONE_IS_ENOUGH
def test_files_that_belong_to_nothing_go_and_others_stay(house: House) -> None:
    experiment = house.tracking.create_experiment(CreateExperiment(name="e"))
    run, model = house.run(experiment), house.model()
    house.registry.create_model(CreateModel(name="A"))
    house.registry.create_version(CreateVersion(name="A", source="s3://b/m"))
    storage = f"9/{'c' * 32}/artifacts/model"
    source = f"mlflow-artifacts:/{storage}"
    rewrite(house, model_version.c.model == "A", storage=storage, source=source)
    strays = [f"9/{'a' * 32}/artifacts/f", f"0/models/m-{'b' * 32}/artifacts/f"]
    others = [
        f"9/{'c' * 32}/artifacts/model/MLmodel",
        f"9/{'d' * 32}/not-artifacts/f",
        f"uploads/{'e' * 32}/artifacts/f",
        "9/notes.txt",
    ]
    for path in (*strays, *others):
        house.artifacts.put(path, b"x")

    removed = house.purge()

    kept = [f"{experiment}/{run}/artifacts/model/MLmodel", f"0/models/{model}/artifacts/MLmodel"]
    assert removed == {"a" * 32, f"m-{'b' * 32}"}
    assert house.files() == sorted([*others, *kept])


@ONE_IS_ENOUGH
def test_each_item_is_a_step_of_the_bar(house: House) -> None:
    for _ in range(3):
        house.tracking.delete_run(house.run())
    found = house.find()
    steps: list[Item] = []

    house.collector.purge(found, LATER_MS, steps.append)

    assert steps == found.items
    with house.database.read() as connection:
        assert connection.execute(select(garbage.c.folder)).all() == []


class Dying(FolderArtifacts):
    """Artifacts of a process that ends at the n-th folder it would remove."""

    def __init__(self, root: Path, after: int) -> None:
        super().__init__(root)
        self._left = after

    def delete(self, path: str) -> None:
        if not self._left:
            raise Killed
        self._left -= 1
        super().delete(path)
