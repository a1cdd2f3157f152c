"""What every tracking store does: over SQLite, over PostgreSQL, and over HTTP."""

import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.contracts.tracking_server import TrackingServer
from tracking.database import open_database
from tracking.errors import InvalidRequest, ResourceExists, ResourceMissing
from tracking.http import HttpApi
from tracking.http_store import HttpTrackingStore
from tracking.sql_store import SqlTrackingStore
from tracking.store import TrackingStore
from tracking.wire import (
    CreateExperiment,
    CreateRun,
    LogBatch,
    Metric,
    Param,
    RunOutputs,
    SearchExperiments,
    SearchRuns,
    SetExperimentTag,
    Tag,
    UpdateExperiment,
    UpdateRun,
)

KINDS = ["sqlite", "postgresql", "http"]


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Iterator[TrackingStore]:
    with opened(request, "tracking_server") as store:
        yield store


@pytest.fixture(scope="module")
def searched_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    with TrackingServer(tmp_path_factory.mktemp("searched")) as server:
        yield server


@contextmanager
def opened(request: pytest.FixtureRequest, server_fixture: str) -> Iterator[TrackingStore]:
    """Open an empty store of the kind that the fixture is asked for."""
    fresh = request.getfixturevalue("fresh_database")
    with fresh(request.param) as uri:
        database = open_database(uri)
        local = SqlTrackingStore(database)
        if request.param == "http":
            server = request.getfixturevalue(server_fixture)
            server.store = local
            api = HttpApi(server.address, retry_for_s=0)
            yield HttpTrackingStore(api)
            api.close()
        else:
            yield local
        database.close()


def start(store: TrackingStore, name: str = "swift-cello-1", **fields: object) -> str:
    request = msgspec.convert({"run_name": name, **fields}, CreateRun)
    return store.create_run(request).info.run_id


def names(store: TrackingStore, **fields: object) -> list[str]:
    request = msgspec.convert({"experiment_ids": ["0"], **fields}, SearchRuns)
    return [run.info.run_name for run in store.search_runs(request).runs]


# --- experiments ------------------------------------------------------------------------------


def test_the_default_experiment_is_there_from_the_start(store: TrackingStore) -> None:
    found = store.experiment("0")

    assert (found.experiment_id, found.name) == ("0", "Default")
    assert (found.artifact_location, found.lifecycle_stage) == ("mlflow-artifacts:/0", "active")


def test_a_created_experiment_is_found_by_id_and_by_name(store: TrackingStore) -> None:
    request = CreateExperiment(name="Wine / 酒", tags=[Tag(key="team", value="a")])

    experiment_id = store.create_experiment(request)

    found = store.experiment(experiment_id)
    assert found == store.find_experiment("Wine / 酒")
    assert found.artifact_location == f"mlflow-artifacts:/{experiment_id}"
    assert found.tags == [Tag(key="team", value="a")]
    assert found.creation_time == found.last_update_time


def test_a_name_that_no_experiment_has_finds_none(store: TrackingStore) -> None:
    assert store.find_experiment("nobody") is None


def test_a_chosen_artifact_location_is_kept(store: TrackingStore) -> None:
    request = CreateExperiment(name="a", artifact_location="s3://bucket/a")

    experiment_id = store.create_experiment(request)

    assert store.experiment(experiment_id).artifact_location == "s3://bucket/a"


@pytest.mark.parametrize(
    "location",
    ["file:///etc", "/etc", "plots", "mlflow-artifacts:/../x", "s3://b/%2e%2e/x", "s3://b/x#y"],
)
def test_a_location_that_is_no_reference_is_refused(store: TrackingStore, location: str) -> None:
    with pytest.raises(InvalidRequest, match=r"artifact_location|Invalid path"):
        store.create_experiment(CreateExperiment(name="a", artifact_location=location))

    assert store.find_experiment("a") is None


def test_a_taken_name_is_refused(store: TrackingStore) -> None:
    with pytest.raises(ResourceExists, match=r"Experiment\(name=Default\) already exists"):
        store.create_experiment(CreateExperiment(name="Default"))


def test_the_name_of_a_deleted_experiment_stays_taken(store: TrackingStore) -> None:
    store.delete_experiment(store.create_experiment(CreateExperiment(name="a")))

    with pytest.raises(ResourceExists, match="already exists"):
        store.create_experiment(CreateExperiment(name="a"))


@pytest.mark.parametrize("name", ["", "x" * 501, "a\0b"])
def test_a_name_that_cannot_be_kept_is_refused(store: TrackingStore, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"'name'|NUL"):
        store.create_experiment(CreateExperiment(name=name))


@pytest.mark.parametrize("experiment_id", ["1", "99999999999999999999999", "-1"])
def test_an_experiment_that_is_not_there_is_missing(
    store: TrackingStore, experiment_id: str
) -> None:
    with pytest.raises(ResourceMissing, match=f"No Experiment with id={experiment_id} exists"):
        store.experiment(experiment_id)


def test_new_experiments_get_a_whole_location(sqlite_uri: str) -> None:
    database = open_database(sqlite_uri)
    store = SqlTrackingStore(database, default_artifact_root="./mlruns")

    made = store.create_experiment(CreateExperiment(name="a"))

    assert store.experiment(made).artifact_location == str(Path.cwd() / "mlruns" / made)
    database.close()


@pytest.mark.parametrize("experiment_id", ["x", "1.0", "٣", " 0", "0x1", ""])
def test_an_id_that_no_experiment_can_have_is_refused(
    store: TrackingStore, experiment_id: str
) -> None:
    tag = SetExperimentTag(experiment_id=experiment_id, key="k", value="v")
    rename = UpdateExperiment(experiment_id=experiment_id, new_name="n")
    for act in (
        lambda: store.experiment(experiment_id),
        lambda: store.update_experiment(rename),
        lambda: store.delete_experiment(experiment_id),
        lambda: store.restore_experiment(experiment_id),
        lambda: store.set_experiment_tag(tag),
        lambda: store.delete_experiment_tag(experiment_id, "k"),
        lambda: start(store, experiment_id=experiment_id),
        lambda: names(store, experiment_ids=["0", experiment_id]),
    ):
        with pytest.raises(InvalidRequest, match=r"experiment ID|parameter 'experiment_id'"):
            act()


def test_what_has_to_be_given_is_asked_for(store: TrackingStore) -> None:
    run_id = start(store)
    asked: dict[str, Callable[[], object]] = {
        "experiment_name": lambda: store.find_experiment(""),
        "new_name": lambda: store.update_experiment(UpdateExperiment(experiment_id="0")),
        "metric_key": lambda: store.metric_history(run_id, ""),
        "key": lambda: store.delete_tag(run_id, ""),
    }
    for name, act in asked.items():
        with pytest.raises(InvalidRequest, match=f"Missing value for required parameter '{name}'"):
            act()
    for ask in (store.bulk_history, store.sample_history):
        with pytest.raises(InvalidRequest, match="Missing value for required parameter"):
            ask([run_id], "")
    with pytest.raises(InvalidRequest, match="Missing value for required parameter 'key'"):
        store.delete_experiment_tag("0", "")


@pytest.mark.parametrize("half", [{"dataset_name": "d"}, {"dataset_digest": "1"}])
def test_half_a_dataset_of_a_point_is_refused(store: TrackingStore, half: dict[str, str]) -> None:
    run_id = start(store)
    point = msgspec.convert({"key": "m", "value": 1.0, "timestamp": 1, **half}, Metric)

    with pytest.raises(InvalidRequest, match="Both dataset_name and dataset_digest"):
        store.log_batch(LogBatch(run_id=run_id, metrics=[point]))


def test_a_run_is_never_without_a_name(store: TrackingStore) -> None:
    run_id = start(store, "n")

    nameless = [Tag(key="mlflow.runName", value=""), Tag(key="a", value="")]
    store.log_batch(LogBatch(run_id=run_id, tags=nameless))

    run = store.run(run_id)
    assert run.info.run_name == "n"
    assert run.data.tags == [Tag(key="a", value=""), Tag(key="mlflow.runName", value="n")]


def test_renaming_keeps_the_id(store: TrackingStore) -> None:
    experiment_id = store.create_experiment(CreateExperiment(name="a"))

    store.update_experiment(UpdateExperiment(experiment_id=experiment_id, new_name="b"))

    assert store.experiment(experiment_id).name == "b"
    assert store.find_experiment("a") is None


def test_renaming_to_a_taken_name_is_refused(store: TrackingStore) -> None:
    experiment_id = store.create_experiment(CreateExperiment(name="a"))

    with pytest.raises(ResourceExists):
        store.update_experiment(UpdateExperiment(experiment_id=experiment_id, new_name="Default"))


def test_setting_a_tag_again_overwrites_it(store: TrackingStore) -> None:
    for value in ("1", "2"):
        store.set_experiment_tag(SetExperimentTag(experiment_id="0", key="k", value=value))

    assert store.experiment("0").tags == [Tag(key="k", value="2")]


def test_restoring_an_experiment_restores_the_runs_deleted_with_it(store: TrackingStore) -> None:
    start(store, "kept")
    store.delete_run(start(store, "deleted before"))

    store.delete_experiment("0")
    while_deleted = names(store, run_view_type="ACTIVE_ONLY")
    store.restore_experiment("0")

    assert while_deleted == []
    assert names(store) == ["kept"]
    assert names(store, run_view_type="DELETED_ONLY") == ["deleted before"]


def test_a_deleted_experiment_refuses_changes(store: TrackingStore) -> None:
    run_id = start(store)
    store.delete_experiment("0")
    store.restore_run(run_id)

    changes: list[Callable[[], object]] = [
        lambda: store.update_experiment(UpdateExperiment(experiment_id="0", new_name="x")),
        lambda: store.set_experiment_tag(SetExperimentTag(experiment_id="0", key="k", value="v")),
        lambda: store.create_run(CreateRun()),
        lambda: store.log_batch(LogBatch(run_id=run_id, tags=[Tag(key="k", value="v")])),
    ]

    for change in changes:
        with pytest.raises(InvalidRequest, match="must be in the 'active' state"):
            change()


def test_deleting_or_restoring_twice_is_missing(store: TrackingStore) -> None:
    with pytest.raises(ResourceMissing):
        store.restore_experiment("0")
    store.delete_experiment("0")

    with pytest.raises(ResourceMissing):
        store.delete_experiment("0")


def test_experiments_come_in_pages_that_miss_and_repeat_none(store: TrackingStore) -> None:
    for number in range(7):
        store.create_experiment(CreateExperiment(name=f"e{number}"))
    request = SearchExperiments(max_results=3, order_by=["name ASC"])

    found: list[str] = []
    token: str | None = ""
    while token is not None:
        page = store.search_experiments(msgspec.structs.replace(request, page_token=token or None))
        found += [experiment.name for experiment in page.experiments]
        token = page.next_page_token

    assert found == ["Default", *(f"e{number}" for number in range(7))]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("name = 'Alpha'", ["Alpha"]),
        ("name LIKE 'al%'", ["alpaca"]),
        ("name ILIKE 'AL%'", ["Alpha", "alpaca"]),
        ("name != 'Alpha' AND tags.team = 'x'", ["alpaca"]),
        ("tags.`team` IS NULL", ["Default"]),
        ("creation_time > 0 AND attribute.name LIKE 'Al%'", ["Alpha"]),
        ("name ILIKE 'ÉCOLE'", []),
        ("experiment_id IN ('0', 'x', '99')", ["Default"]),
        ("attribute.experiment_id NOT IN ('0')", ["Alpha", "alpaca"]),
    ],
)
def test_experiments_are_searched_by_name_and_tags(
    store: TrackingStore, wanted: str, found: list[str]
) -> None:
    for name in ("Alpha", "alpaca"):
        store.create_experiment(CreateExperiment(name=name, tags=[Tag(key="team", value="x")]))

    page = store.search_experiments(SearchExperiments(filter=wanted))

    assert sorted(experiment.name for experiment in page.experiments) == found


def test_deleted_experiments_are_shown_when_asked_for(store: TrackingStore) -> None:
    store.delete_experiment(store.create_experiment(CreateExperiment(name="a")))

    by_view = {
        view: [
            e.name for e in store.search_experiments(SearchExperiments(view_type=view)).experiments
        ]
        for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL", "NONSENSE")
    }

    assert by_view == {
        "ACTIVE_ONLY": ["Default"],
        "DELETED_ONLY": ["a"],
        "ALL": ["a", "Default"],
        "NONSENSE": ["Default"],
    }


# --- runs -------------------------------------------------------------------------------------


def test_a_new_run_runs_and_has_a_place_for_its_artifacts(store: TrackingStore) -> None:
    request = CreateRun(user_id="u", run_name="n", start_time=5, tags=[Tag(key="a", value="b")])

    run = store.create_run(request)

    info = run.info
    assert msgspec.structs.replace(run, outputs=RunOutputs()) == store.run(info.run_id)
    assert (info.status, info.lifecycle_stage, info.end_time) == ("RUNNING", "active", None)
    assert (info.experiment_id, info.user_id, info.start_time) == ("0", "u", 5)
    assert info.run_uuid == info.run_id
    assert info.artifact_uri == f"mlflow-artifacts:/0/{info.run_id}/artifacts"
    assert run.data.tags == [Tag(key="a", value="b"), Tag(key="mlflow.runName", value="n")]


def test_a_run_without_a_name_gets_one_and_its_tag(store: TrackingStore) -> None:
    run = store.create_run(CreateRun())

    assert len(run.info.run_name.split("-")) == 3
    assert run.data.tags == [Tag(key="mlflow.runName", value=run.info.run_name)]


def test_the_name_tag_names_the_run(store: TrackingStore) -> None:
    run = store.create_run(CreateRun(tags=[Tag(key="mlflow.runName", value="n")]))

    assert run.info.run_name == "n"


def test_a_name_and_a_name_tag_that_differ_are_refused(store: TrackingStore) -> None:
    with pytest.raises(InvalidRequest, match=r"mlflow\.runName"):
        store.create_run(CreateRun(run_name="a", tags=[Tag(key="mlflow.runName", value="b")]))


def test_a_run_ends_with_a_status_and_a_time(store: TrackingStore) -> None:
    run_id = start(store)

    info = store.update_run(UpdateRun(run_id=run_id, status="FINISHED", end_time=9))

    assert (info.status, info.end_time) == ("FINISHED", 9)
    assert store.run(run_id).info == info


def test_renaming_a_run_changes_its_tag_and_the_tag_its_name(store: TrackingStore) -> None:
    run_id = start(store)

    store.update_run(UpdateRun(run_id=run_id, run_name="b"))
    renamed = store.run(run_id)
    store.log_batch(LogBatch(run_id=run_id, tags=[Tag(key="mlflow.runName", value="c")]))

    assert renamed.info.run_name == "b"
    assert renamed.data.tags == [Tag(key="mlflow.runName", value="b")]
    assert store.run(run_id).info.run_name == "c"


def test_a_run_that_is_not_there_is_missing(store: TrackingStore) -> None:
    asks: list[Callable[[], object]] = [
        lambda: store.run("0" * 32),
        lambda: store.delete_run("0" * 32),
        lambda: store.restore_run("0" * 32),
        lambda: store.update_run(UpdateRun(run_id="0" * 32)),
        lambda: store.log_batch(LogBatch(run_id="0" * 32)),
        lambda: store.metric_history("0" * 32, "m"),
    ]

    for ask in asks:
        with pytest.raises(ResourceMissing, match=r"Run with id=0+ not found"):
            ask()


@pytest.mark.parametrize("run_id", ["", "../x", "a b"])
def test_an_id_that_no_run_can_have_is_refused(store: TrackingStore, run_id: str) -> None:
    with pytest.raises(InvalidRequest, match="run_id"):
        store.run(run_id)


def test_a_deleted_run_is_shown_and_refuses_changes_until_restored(store: TrackingStore) -> None:
    run_id = start(store)
    store.delete_run(run_id)

    with pytest.raises(InvalidRequest, match="must be in the 'active' state"):
        store.log_batch(LogBatch(run_id=run_id, params=[Param(key="a", value="1")]))
    with pytest.raises(InvalidRequest, match="must be in the 'active' state"):
        store.update_run(UpdateRun(run_id=run_id, status="FINISHED"))

    assert store.run(run_id).info.lifecycle_stage == "deleted"
    store.restore_run(run_id)
    store.log_batch(LogBatch(run_id=run_id, params=[Param(key="a", value="1")]))
    assert store.run(run_id).data.params == [Param(key="a", value="1")]


# --- params, tags -----------------------------------------------------------------------------


def test_the_same_param_again_is_fine_and_another_value_is_refused(store: TrackingStore) -> None:
    run_id = start(store)
    batch = LogBatch(run_id=run_id, params=[Param(key="depth", value="5")])
    store.log_batch(batch)
    store.log_batch(batch)

    with pytest.raises(InvalidRequest, match="Changing param values is not allowed"):
        store.log_batch(LogBatch(run_id=run_id, params=[Param(key="depth", value="6")]))

    assert store.run(run_id).data.params == [Param(key="depth", value="5")]


def test_long_values_are_cut_and_logging_them_again_is_fine(store: TrackingStore) -> None:
    run_id = start(store)
    long = LogBatch(
        run_id=run_id,
        params=[Param(key="p", value="é" * 7000)],
        tags=[Tag(key="t", value="x" * 9000)],
    )

    store.log_batch(long)
    store.log_batch(long)

    data = store.run(run_id).data
    assert [len(param.value) for param in data.params] == [6000]
    assert [len(tag.value) for tag in data.tags if tag.key == "t"] == [8000]


def test_a_refused_batch_keeps_nothing(store: TrackingStore) -> None:
    run_id = start(store)
    store.log_batch(LogBatch(run_id=run_id, params=[Param(key="depth", value="5")]))
    batch = LogBatch(
        run_id=run_id,
        metrics=[Metric(key="m", value=1.0, timestamp=1)],
        params=[Param(key="new", value="1"), Param(key="depth", value="6")],
        tags=[Tag(key="t", value="1")],
    )

    with pytest.raises(InvalidRequest):
        store.log_batch(batch)

    data = store.run(run_id).data
    assert (data.metrics, data.params) == ([], [Param(key="depth", value="5")])
    assert [tag.key for tag in data.tags] == ["mlflow.runName"]


@pytest.mark.parametrize(
    "key", ["", "x" * 251, "a//b", "../x", "/x", ".", "a/", "a$b", "a\nb", "a/./b"]
)
def test_a_key_that_is_no_plain_path_is_refused(store: TrackingStore, key: str) -> None:
    run_id = start(store)
    batches = [
        LogBatch(run_id=run_id, metrics=[Metric(key=key, value=1.0, timestamp=1)]),
        LogBatch(run_id=run_id, params=[Param(key=key, value="1")]),
        LogBatch(run_id=run_id, tags=[Tag(key=key, value="1")]),
    ]

    for batch in batches:
        with pytest.raises(InvalidRequest, match="'key'"):
            store.log_batch(batch)


def test_keys_of_any_script_with_spaces_and_slashes_are_kept(store: TrackingStore) -> None:
    run_id = start(store)

    store.log_batch(LogBatch(run_id=run_id, params=[Param(key="größe/层 1:a-b.c", value="")]))

    assert store.run(run_id).data.params == [Param(key="größe/层 1:a-b.c", value="")]


def test_a_param_twice_in_one_batch_is_refused(store: TrackingStore) -> None:
    run_id = start(store)

    with pytest.raises(InvalidRequest, match="Duplicate parameter keys"):
        store.log_batch(LogBatch(run_id=run_id, params=[Param(key="a", value="1")] * 2))


@pytest.mark.parametrize(
    ("metrics", "params", "tags"), [(1001, 0, 0), (0, 101, 0), (0, 0, 101), (900, 50, 51)]
)
def test_a_batch_over_the_limits_is_refused(
    store: TrackingStore, metrics: int, params: int, tags: int
) -> None:
    batch = LogBatch(
        run_id=start(store),
        metrics=[Metric(key="m", value=1.0, timestamp=i) for i in range(metrics)],
        params=[Param(key=f"p{i}", value="1") for i in range(params)],
        tags=[Tag(key=f"t{i}", value="1") for i in range(tags)],
    )

    with pytest.raises(InvalidRequest, match="at most"):
        store.log_batch(batch)


def test_a_tag_is_overwritten_and_deleted_once(store: TrackingStore) -> None:
    run_id = start(store)
    for value in ("1", "2"):
        store.log_batch(LogBatch(run_id=run_id, tags=[Tag(key="a", value=value)]))
    overwritten = store.run(run_id).data.tags[0]

    store.delete_tag(run_id, "a")

    assert overwritten == Tag(key="a", value="2")
    assert [tag.key for tag in store.run(run_id).data.tags] == ["mlflow.runName"]
    with pytest.raises(ResourceMissing, match="No tag"):
        store.delete_tag(run_id, "a")


# --- metrics ----------------------------------------------------------------------------------


def log_points(store: TrackingStore, run_id: str, *points: tuple[float | str, int, int]) -> None:
    metrics = [
        Metric(key="m", value=value, timestamp=timestamp, step=step)
        for value, timestamp, step in points
    ]
    store.log_batch(LogBatch(run_id=run_id, metrics=metrics))


def history(store: TrackingStore, run_id: str) -> list[tuple[float | str, int, int | None]]:
    points = store.metric_history(run_id, "m").metrics
    return [(point.value, point.timestamp, point.step) for point in points]


def test_history_is_ordered_by_timestamp_step_value(store: TrackingStore) -> None:
    run_id = start(store)
    log_points(store, run_id, (3.0, 2, 0), (1.0, 1, 5), (0.5, 1, 5), (9.0, 1, -2))

    found = history(store, run_id)

    assert found == [(9.0, 1, -2), (0.5, 1, 5), (1.0, 1, 5), (3.0, 2, 0)]


def test_the_same_point_twice_is_one(store: TrackingStore) -> None:
    run_id = start(store)
    log_points(store, run_id, (1.0, 1, 0), (1.0, 1, 0))
    log_points(store, run_id, (1.0, 1, 0))

    assert history(store, run_id) == [(1.0, 1, 0)]


def test_the_latest_value_is_the_greatest_step_then_time_then_value(store: TrackingStore) -> None:
    run_id = start(store)

    log_points(store, run_id, (1.0, 9, 5))
    log_points(store, run_id, (2.0, 99, 4), (7.0, 9, 5), (6.0, 9, 5), (8.0, 8, 5))

    assert store.run(run_id).data.metrics == [Metric(key="m", value=7.0, timestamp=9, step=5)]


@pytest.mark.parametrize(
    ("logged", "kept"),
    [
        ("NaN", "NaN"),
        ("Infinity", sys.float_info.max),
        ("-Infinity", -sys.float_info.max),
        ("0.25", 0.25),
        (5e-324, 5e-324),
        (-0.0, 0.0),
    ],
)
def test_unusual_values_are_kept(
    store: TrackingStore, logged: float | str, kept: float | str
) -> None:
    run_id = start(store)

    log_points(store, run_id, (logged, 1, 0))

    assert history(store, run_id) == [(kept, 1, 0)]
    assert store.run(run_id).data.metrics[0].value == kept


@pytest.mark.parametrize("value", ["high", ""])
def test_a_value_that_is_no_number_is_refused(store: TrackingStore, value: str) -> None:
    run_id = start(store)

    with pytest.raises(InvalidRequest, match="'value'"):
        log_points(store, run_id, (value, 1, 0))


@pytest.mark.parametrize(("timestamp", "step"), [(-1, 0), (2**63, 0), (1, 2**63)])
def test_times_and_steps_out_of_range_are_refused(
    store: TrackingStore, timestamp: int, step: int
) -> None:
    run_id = start(store)

    with pytest.raises(InvalidRequest):
        log_points(store, run_id, (1.0, timestamp, step))


def test_history_comes_in_pages_that_miss_and_repeat_none(store: TrackingStore) -> None:
    run_id = start(store)
    log_points(store, run_id, *((math.sin(i), i // 3, i % 2) for i in range(100)), ("NaN", 5, 1))
    whole = history(store, run_id)

    found: list[tuple[float | str, int, int | None]] = []
    token: str | None = None
    while True:
        page = store.metric_history(run_id, "m", max_results=7, page_token=token)
        found += [(point.value, point.timestamp, point.step) for point in page.metrics]
        token = page.next_page_token
        if token is None:
            break

    assert len(whole) == 101
    assert found == whole


def test_a_metric_that_was_never_logged_has_no_history(store: TrackingStore) -> None:
    assert store.metric_history(start(store), "nothing").metrics == []


@pytest.mark.parametrize("max_results", [0, -1, 25_001])
def test_a_page_size_out_of_range_is_refused(store: TrackingStore, max_results: int) -> None:
    with pytest.raises(InvalidRequest, match="max_results"):
        store.metric_history(start(store), "m", max_results=max_results)


# --- searching runs ---------------------------------------------------------------------------


@pytest.fixture(scope="module", params=KINDS)
def searched(request: pytest.FixtureRequest) -> Iterator[TrackingStore]:
    """Four runs, started one after the other, with different numbers and texts; only read."""
    with opened(request, "searched_server") as store:
        fill(store)
        yield store


def fill(store: TrackingStore) -> None:
    rows: list[tuple[str, float | str | None, str, str]] = [
        ("ant", 0.5, "5", "red"),
        ("bee", 0.9, "10", "Red"),
        ("cat", "NaN", "5", "blue"),
        ("dog", None, "20", "100%"),
    ]
    for number, (name, value, depth, color) in enumerate(rows):
        run_id = start(store, name, start_time=number)
        metrics = [] if value is None else [Metric(key="acc", value=value, timestamp=1)]
        params = [Param(key="depth", value=depth)]
        tags = [Tag(key="my color", value=color)]
        store.log_batch(LogBatch(run_id=run_id, metrics=metrics, params=params, tags=tags))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", ["dog", "cat", "bee", "ant"]),
        ("metrics.acc > 0.6", ["bee"]),
        ("metric.acc >= 0.5 and metrics.acc < 0.9", ["ant"]),
        ("metrics.acc != 0.5", ["cat", "bee"]),
        ("metrics.acc = 0", []),
        ("metrics.acc IS NULL", ["dog"]),
        ("metrics.acc IS NOT NULL", ["cat", "bee", "ant"]),
        ("params.depth = '5'", ["cat", "ant"]),
        ("params.depth != '5'", ["dog", "bee"]),
        ("params.missing != '5'", []),
        ("tags.`my color` LIKE 'red'", ["ant"]),
        ('tags."my color" ILIKE "RED"', ["bee", "ant"]),
        ("tags.`my color` LIKE '%/%'", []),
        ("tags.`my color` LIKE '100_'", ["dog"]),
        ("attributes.run_name LIKE '%a%' AND start_time >= 2", ["cat"]),
        ("run_name = 'bee'", ["bee"]),
        ("attributes.`run name` = 'bee'", ["bee"]),
        ("status = 'RUNNING' AND created <= 0", ["ant"]),
        ("attributes.Created > 2 AND attributes.\"Run Name\" = 'dog'", ["dog"]),
        ("tags.'my color' ILIKE 'red' AND metrics.'acc' > 0.6", ["bee"]),
        ("end_time > 0", []),
        ("params.depth = 'x'' OR ''1''=''1'", []),
    ],
)
def test_runs_are_searched_by_what_they_logged(
    searched: TrackingStore, wanted: str, found: list[str]
) -> None:
    assert names(searched, filter=wanted) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (["metrics.acc ASC"], ["ant", "bee", "cat", "dog"]),
        (["metrics.acc DESC"], ["bee", "ant", "cat", "dog"]),
        (["params.depth", "start_time ASC"], ["bee", "dog", "ant", "cat"]),
        (["attributes.start_time asc"], ["ant", "bee", "cat", "dog"]),
        (["run_name DESC"], ["dog", "cat", "bee", "ant"]),
        (["Created"], ["ant", "bee", "cat", "dog"]),
        (["attributes.'Run Name'"], ["ant", "bee", "cat", "dog"]),
        (["attributes.end_time"], ["dog", "cat", "bee", "ant"]),
    ],
)
def test_runs_are_ordered_with_what_is_missing_last(
    searched: TrackingStore, order: list[str], found: list[str]
) -> None:
    assert names(searched, order_by=order) == found


def test_run_ids_are_found_in_a_list(searched: TrackingStore) -> None:
    run_id = searched.search_runs(SearchRuns(experiment_ids=["0"])).runs[0].info.run_id

    assert names(searched, filter=f"run_id IN ('{run_id}', 'x')") == ["dog"]
    assert names(searched, filter=f"run_id NOT IN ('{run_id}')") == ["cat", "bee", "ant"]
    others = ", ".join(f"'{number:032x}'" for number in range(10_000))
    assert names(searched, filter=f"run_id IN ({others}, '{run_id}')") == ["dog"]


@pytest.mark.parametrize(
    "wanted",
    [
        "metrics.acc > 'high'",
        "params.depth > 5",
        "params.depth = 5",
        "tags.x > '1'",
        "nothing.x = '1'",
        "attributes.secret = '1'",
        "metrics.acc LIKE '1'",
        "params.depth = '5' OR params.depth = '6'",
        "params.depth = '5",
        "params.depth =",
        "params.depth",
        "'; DROP TABLE runs; --",
        "run_id IN ()",
        "(params.depth = '5')",
    ],
)
def test_a_filter_outside_the_grammar_is_refused(searched: TrackingStore, wanted: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid filter"):
        names(searched, filter=wanted)


@pytest.mark.parametrize("order", ["nothing.x", "metrics.acc UPWARDS", "", "secret ASC"])
def test_an_order_outside_the_grammar_is_refused(searched: TrackingStore, order: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid filter or order"):
        names(searched, order_by=[order])


def test_more_orders_than_sqlite_survives_are_refused(searched: TrackingStore) -> None:
    twenty = [f"metrics.m{number}" for number in range(20)]

    assert names(searched, order_by=twenty) == ["dog", "cat", "bee", "ant"]
    with pytest.raises(InvalidRequest, match="order_by"):
        names(searched, order_by=[*twenty, "run_name"])
    with pytest.raises(InvalidRequest, match="order_by"):
        searched.search_experiments(SearchExperiments(order_by=["name"] * 80))


@pytest.mark.parametrize("count", [3, 41])
def test_many_clauses_over_many_experiments_are_answered(
    searched: TrackingStore, count: int
) -> None:
    wanted = " AND ".join(["params.depth != '7'"] * 100)

    found = names(searched, experiment_ids=[str(n) for n in range(count)], filter=wanted)

    assert found == ["dog", "cat", "bee", "ant"]


def test_runs_come_in_pages_that_miss_and_repeat_none(searched: TrackingStore) -> None:
    request = SearchRuns(experiment_ids=["0"], max_results=3)

    first = searched.search_runs(request)
    rest = searched.search_runs(msgspec.structs.replace(request, page_token=first.next_page_token))

    assert [run.info.run_name for run in first.runs] == ["dog", "cat", "bee"]
    assert [run.info.run_name for run in rest.runs] == ["ant"]
    assert rest.next_page_token is None


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    ("order", "found"),
    [
        (["metrics.acc"], ["ant", "bee", "cat", "dog"]),
        (["metrics.acc DESC"], ["bee", "ant", "cat", "dog"]),
        (["metrics.acc DESC", "run_name DESC"], ["bee", "ant", "cat", "dog"]),
        (["metrics.none", "run_name"], ["ant", "bee", "cat", "dog"]),
    ],
)
def test_pages_in_the_order_of_a_metric_miss_and_repeat_none(
    searched: TrackingStore, order: list[str], found: list[str], size: int
) -> None:
    """Whether an index gives all of a page, some of it, or nothing."""
    request = SearchRuns(experiment_ids=["0"], max_results=size, order_by=order)
    names_found: list[str] = []

    while True:
        page = searched.search_runs(request)
        names_found += [run.info.run_name for run in page.runs]
        if page.next_page_token is None:
            break
        request = msgspec.structs.replace(request, page_token=page.next_page_token)

    assert names_found == found


def test_a_token_of_another_query_is_refused(searched: TrackingStore) -> None:
    request = SearchRuns(experiment_ids=["0"], max_results=1)
    token = searched.search_runs(request).next_page_token

    for other in ("nonsense", token):
        with pytest.raises(InvalidRequest, match="page token"):
            searched.search_runs(
                SearchRuns(experiment_ids=["0"], filter="end_time > 0", page_token=other)
            )


def test_no_experiments_hold_no_runs(searched: TrackingStore) -> None:
    assert names(searched, experiment_ids=[]) == []
    assert names(searched, experiment_ids=["7", "8"]) == []


# --- at once ----------------------------------------------------------------------------------


def test_writers_at_once_lose_nothing(store: TrackingStore) -> None:
    run_id = start(store)

    def log(number: int) -> None:
        point = Metric(key="m", value=float(number), timestamp=number, step=number)
        param = Param(key=f"p{number}", value="1")
        store.log_batch(LogBatch(run_id=run_id, metrics=[point], params=[param]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log, range(40)))

    run = store.run(run_id)
    assert len(run.data.params) == 40
    assert [metric.value for metric in run.data.metrics] == [39.0]
    assert len(history(store, run_id)) == 40


def test_one_name_asked_for_at_once_is_given_once(store: TrackingStore) -> None:
    def create(_: int) -> str | None:
        try:
            return store.create_experiment(CreateExperiment(name="same"))
        except ResourceExists:
            return None

    with ThreadPoolExecutor(6) as pool:
        given = [made for made in pool.map(create, range(6)) if made is not None]

    found = store.find_experiment("same")
    assert found is not None
    assert given == [found.experiment_id]
