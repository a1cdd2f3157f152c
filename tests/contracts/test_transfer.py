"""What is brought over, into SQLite and into PostgreSQL, and what stays as it was decided here."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.sql_past import read_storage
from registry.transfer.selection import Selection
from registry.wire import CreateModel, CreateVersion, SearchRequest, TransitionStage
from tests.contracts.transfer_house import House, furnish, mlflow_tables, odd_tables, reasons
from tracking.artifacts import open_artifacts
from tracking.errors import InvalidRequest, ResourceExists
from tracking.sql_past import Effect
from tracking.wire import CreateExperiment, CreateRun, LogBatch, Metric, Param, Tag


@pytest.fixture
def house(sqlite_uri: str, tmp_path: Path) -> Iterator[House]:
    made = House(sqlite_uri, tmp_path / "artifacts")
    yield made
    made.database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """Another house, empty, over each database."""
    if request.param == "postgresql":
        uri = request.getfixturevalue("postgres_uri")
    else:
        uri = f"sqlite:///{tmp_path}/other.db"
    made = House(uri, tmp_path / "other")
    yield made
    made.database.close()


def test_what_is_written_out_and_brought_in_is_the_same(
    house: House, other: House, tmp_path: Path
) -> None:
    furnish(house)

    written = house.write_out(tmp_path / "out")
    brought = other.bring(tmp_path / "out")
    before = other.rows()
    again = other.bring(tmp_path / "out")

    [why] = reasons(written)
    assert why.startswith("model 'A b', version 3: its files are outside")
    assert reasons(brought) == reasons(again) == [why]
    assert other.rows() == house.rows()
    assert other.files() == house.files()
    assert {effect for _, effect in again.counts} == {Effect.UNCHANGED}
    assert other.rows() == before
    assert other.tracking.create_experiment(CreateExperiment(name="next")) == "2"
    assert (
        other.registry.create_version(CreateVersion(name="A b", source="s3://b/c")).version == "5"
    )


def test_artifacts_in_a_bucket_are_written_out_and_brought_into_another(
    sqlite_uri: str, other: House, tmp_path: Path, bucket_url: str
) -> None:
    house = House(sqlite_uri, f"{bucket_url}/ours")
    furnish(house)
    target = House(f"sqlite:///{tmp_path}/target.db", f"{bucket_url}/theirs")

    house.write_out(tmp_path / "out")
    into_folder, into_bucket = other.bring(tmp_path / "out"), target.bring(tmp_path / "out")
    again = target.bring(tmp_path / "out")

    assert into_folder.counts == into_bucket.counts
    assert other.files() == target.files() == house.files() != {}
    assert {effect for _, effect in again.counts} == {Effect.UNCHANGED}
    for one in (house, target):
        one.database.close()


def test_files_of_a_bucket_that_was_named_are_copied_and_others_refused(
    other: House, tmp_path: Path, bucket_url: str
) -> None:
    run, elsewhere = "a" * 32, "b" * 32
    mlflow_tables(f"sqlite:///{tmp_path}/mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET artifact_uri = ?", [f"{bucket_url}/5/{run}/artifacts"])
        database.execute(
            "INSERT INTO runs SELECT ?, name, user_id, status, start_time, end_time,"
            " lifecycle_stage, 's3://somebody-elses/5/x/artifacts', experiment_id FROM runs",
            [elsewhere],
        )
    bucket = open_artifacts(bucket_url)
    bucket.put(f"5/{run}/artifacts/plots/ä b.txt", [b"seen"])
    bucket.put(f"5/{run}/artifacts/empty", [])

    tally = other.bring(f"sqlite:///{tmp_path}/mlflow.db", bucket_url)

    assert other.files() == {
        f"5/{run}/artifacts/{name}": content
        for name, content in (
            ("plots/ä b.txt", b"seen"),
            ("empty", b""),
        )
    }
    [why] = reasons(tally)
    assert "--artifacts-root 's3://somebody-elses'" in why


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
KEYS = st.text("ab/.- ä", min_size=1, max_size=6).filter(
    lambda key: all(part.strip() not in {"", ".", ".."} for part in key.split("/"))
)
VALUES = st.floats() | st.integers(-(2**53), 2**53).map(float)
TIMES = st.integers(0, 2**45)


@given(
    params=st.dictionaries(KEYS, TEXTS, max_size=4),
    tags=st.dictionaries(KEYS, TEXTS, max_size=4),
    points=st.lists(st.tuples(KEYS, VALUES, TIMES, st.integers(-(2**62), 2**62)), max_size=8),
)
@settings(max_examples=5, deadline=None)
def test_whatever_a_run_logs_comes_back(
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    params: dict[str, str],
    tags: dict[str, str],
    points: list[tuple[str, float, int, int]],
) -> None:
    """Keys of which one is the folder of another are told by name, and all else comes."""
    folder = tmp_path_factory.mktemp("roundtrip")
    houses = []
    for name in ("one", "two"):
        shutil.copyfile(sqlite_template, folder / f"{name}.db")
        houses.append(House(f"sqlite:///{folder}/{name}.db", folder / name))
    one, two = houses
    run_id = one.tracking.create_run(CreateRun(start_time=1)).info.run_id
    metrics = [
        Metric(key=key, value=float(value), timestamp=time, step=step)
        for key, value, time, step in points
    ]
    entries = {"params": [Param(key=k, value=v) for k, v in params.items()]}
    labels = [Tag(key=k, value=v) for k, v in tags.items()]
    one.tracking.log_batch(LogBatch(run_id=run_id, metrics=metrics, tags=labels, **entries))

    written = one.write_out(folder / "out")
    two.bring(folder / "out")

    clashes = any(have_a_clash(keys) for keys in (params, tags, {p[0] for p in points}))
    assert len(written.problems) == clashes
    if not clashes:
        assert two.rows() == one.rows()
    for house in houses:
        house.database.close()


def have_a_clash(keys: Any) -> bool:
    """Return whether a key is the folder of another, or both are the same file."""
    return any(other.startswith(f"{key}/") for key in keys for other in keys)


def test_names_and_numbers_that_are_taken(house: House, tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d", "old"):
        house.tracking.create_experiment(CreateExperiment(name=name))
    mlflow_tables(f"sqlite:///{tmp_path}/mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("INSERT INTO experiments VALUES (3, 'mine', '', 'active', 1, 1)")

    tally = house.bring(f"sqlite:///{tmp_path}/mlflow.db")

    names = {
        e.name: e.experiment_id for e in map(house.tracking.find_experiment, ("old", "mine")) if e
    }
    assert names == {"old": "5", "mine": "6"}
    assert [note for note in tally.notes if "id" in note] == [
        "experiment 'mine' has id 6 here, and 3 there"
    ]


def test_many_points_come_once(other: House, tmp_path: Path) -> None:
    mlflow_tables(f"sqlite:///{tmp_path}/mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.executemany(
            "INSERT INTO metrics VALUES ('many', ?, ?, ?, ?, false)",
            [(step / 7, 1000 + step % 10, "a" * 32, step) for step in range(2_500)] * 2,
        )

    first = other.bring(f"sqlite:///{tmp_path}/mlflow.db")
    second = other.bring(f"sqlite:///{tmp_path}/mlflow.db")
    dry = other.bring(f"sqlite:///{tmp_path}/mlflow.db", is_dry=True)

    assert first.counts["point", Effect.ADDED] == 2_502
    assert second.is_unchanged
    assert dry.counts == second.counts
    points = other.tracking.metric_history("a" * 32, "many").metrics
    assert sorted((p.step, p.value) for p in points) == [(s, s / 7) for s in range(2_500)]
    [latest] = [m for m in other.tracking.run("a" * 32).data.metrics if m.key == "many"]
    assert (latest.step, latest.value) == (2_499, 2_499 / 7)


def test_another_model_of_the_same_name_is_not_touched(
    house: House, other: House, tmp_path: Path
) -> None:
    furnish(house)
    house.write_out(tmp_path / "out")
    other.registry.create_model(CreateModel(name="A b"))
    other.registry.create_version(CreateVersion(name="A b", source="s3://mine/m"))

    tally = other.bring(tmp_path / "out")

    assert any("another model of that name" in why for why in reasons(tally))
    assert other.registry.version("A b", "1").source == "s3://mine/m"
    assert other.registry.version("A b", "1").current_stage == "None"


def test_what_was_decided_here_stays_decided(house: House, tmp_path: Path) -> None:
    run_id = furnish(house)
    house.write_out(tmp_path / "out")
    target = House(f"sqlite:///{tmp_path}/target.db", tmp_path / "target")
    target.bring(tmp_path / "out")
    target.registry.transition_stage(TransitionStage(name="A b", version="3", stage="Production"))
    target.registry.delete_version("A b", "1")
    target.tracking.delete_run(run_id)

    tally = target.bring(tmp_path / "out")

    assert target.registry.version("A b", "3").current_stage == "Production"
    assert [v.version for v in target.registry.model("A b").latest_versions] == ["3"]
    assert target.tracking.run(run_id).info.lifecycle_stage == "deleted"
    assert sorted(note.partition(" of ")[0] for note in tally.notes) == [
        "stages and aliases",
        "version 1",
    ]
    target.database.close()


def test_files_of_a_sealed_version_are_never_overwritten(house: House, tmp_path: Path) -> None:
    furnish(house)
    house.write_out(tmp_path / "out")
    target = House(f"sqlite:///{tmp_path}/target.db", tmp_path / "target")
    target.bring(tmp_path / "out")
    [model] = (tmp_path / "out").glob("1/models/*/artifacts/MLmodel")
    model.write_bytes(b"changed since")
    before = target.files()

    tally = target.bring(tmp_path / "out", is_sealed=lambda path: "/models/" in path)

    assert any("sealed with other files" in why for why in reasons(tally))
    assert target.files() == before
    target.database.close()


def test_without_files_and_dry(house: House, tmp_path: Path) -> None:
    furnish(house)
    house.write_out(tmp_path / "out")
    target = House(f"sqlite:///{tmp_path}/target.db", tmp_path / "target")
    empty = target.rows()

    dry = target.bring(tmp_path / "out", is_dry=True)
    untouched = (target.rows(), target.files())
    without = target.bring(tmp_path / "out", are_wanted=False)
    bare = target.files()
    whole = target.bring(tmp_path / "out")
    again = target.bring(tmp_path / "out", is_dry=True)

    assert untouched == (empty, {})
    assert dry.counts["run", Effect.ADDED] == without.counts["run", Effect.ADDED] == 2
    assert dry.counts["file", Effect.ADDED] == whole.counts["file", Effect.ADDED] == 2
    assert {effect for _, effect in again.counts} == {Effect.UNCHANGED}
    assert (dry.copied_bytes, again.copied_bytes) == (0, 0)
    assert bare == {}
    assert target.files() == house.files()
    assert target.registry.download_uri("A b", "1").startswith("mlflow-artifacts:/1/models/m-")
    target.database.close()


def test_only_what_was_named(house: House, tmp_path: Path) -> None:
    furnish(house)
    house.tracking.create_run(CreateRun(experiment_id="0"))

    both = house.write_out(tmp_path / "both", Selection(experiments=frozenset({"irises ü"})))
    model = house.write_out(tmp_path / "model", Selection(models=frozenset({"A b"})))

    assert (both.counts["experiment", Effect.ADDED], both.counts["model", Effect.ADDED]) == (1, 1)
    assert (model.counts["experiment", Effect.ADDED], model.counts["version", Effect.ADDED]) == (
        0,
        2,
    )
    with pytest.raises(InvalidRequest, match="no experiment 'nowhere'"):
        house.write_out(tmp_path / "x", Selection(experiments=frozenset({"nowhere"})))
    with pytest.raises(ResourceExists):
        house.write_out(tmp_path / "model")
    assert not list(tmp_path.glob("*.unfinished"))


def test_an_odd_part_is_left_out_or_mended_and_the_rest_of_its_run_comes(
    other: House, tmp_path: Path
) -> None:
    odd_tables(tmp_path / "mlflow.db")

    tally = other.bring(f"sqlite:///{tmp_path}/mlflow.db")

    run = other.tracking.run("a" * 32)
    assert run.info.start_time == 0
    assert {tag.key: tag.value for tag in run.data.tags} == {
        "mlflow.runName": "named by its tag",
        "nul": "x\N{REPLACEMENT CHARACTER}y",
    }
    assert {metric.key for metric in run.data.metrics} == {"m"}
    assert run.inputs is not None
    assert [given.dataset.name for given in run.inputs.dataset_inputs] == ["iris"]
    told = [change.why for change in tally.changed if change.what == f"run {'a' * 32}"]
    for part in ("start_time was before", "'a//b' is left out", "'nul' held", "dataset '' with"):
        assert any(part in why for why in told), part
    assert any(why.startswith("points of 'm//n' are left out") for why in told)


def test_an_odd_version_or_name_loses_no_other_version(other: House, tmp_path: Path) -> None:
    odd_tables(tmp_path / "mlflow.db")

    first = other.bring(f"sqlite:///{tmp_path}/mlflow.db")
    before = other.rows()
    again = other.bring(f"sqlite:///{tmp_path}/mlflow.db")

    found_models = other.registry.search_models(SearchRequest()).registered_models
    names = sorted(model.name for model in found_models)
    assert [name[:248] for name in names] == ["M", "n" * 247 + "-"]
    for name in names:
        model = other.registry.model(name)
        assert model.description == "a\N{REPLACEMENT CHARACTER}b"
        assert [(a.alias, a.version) for a in model.aliases] == [("best", "2")]
        found = [other.registry.version(name, str(number)) for number in (1, 2, 3)]
        assert [version.current_stage for version in found] == ["Production", "None", "None"]
        assert found[1].source == f"runs:/{'a' * 32}/a"
        with other.database.read() as connection:
            folders = [read_storage(connection, (name, number)) for number in (1, 2, 3, 5)]
        ways = ["a", "a", "a%25b", "a"]
        assert folders == [f"5/{'a' * 32}/artifacts/{way}" for way in ways]
    assert [why.partition(": ")[0].endswith(", version 4") for why in reasons(first)] == [True] * 2
    assert reasons(again) == reasons(first)
    assert list(again.changed) == list(first.changed)
    assert {effect for _, effect in again.counts} == {Effect.UNCHANGED}
    assert other.rows() == before
