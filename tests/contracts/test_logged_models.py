"""What every tracking store does with logged models, and with what runs read and made."""

from collections.abc import Callable, Iterator

import msgspec
import pytest

from tests.contracts.test_tracking_store import KINDS, opened
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.store import TrackingStore
from tracking.wire import (
    CreateExperiment,
    CreateRun,
    Dataset,
    DatasetInput,
    LogBatch,
    LogInputs,
    LogModel,
    LogOutputs,
    Metric,
    ModelInput,
    ModelOutput,
    Param,
    RunInputs,
    RunOutputs,
    SetExperimentTag,
    Tag,
)
from tracking.wire_models import (
    CreateLoggedModel,
    DatasetReference,
    LoggedModelOrder,
    SearchLoggedModels,
)

IRIS = Dataset(name="iris", digest="abc", source_type="local", source="{}", schema="s", profile="p")
UNKNOWN = "m-" + "0" * 32


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Iterator[TrackingStore]:
    with opened(request, "tracking_server") as store:
        yield store


def start(store: TrackingStore) -> str:
    return store.create_run(CreateRun(run_name="swift-cello-1")).info.run_id


def make(store: TrackingStore, name: str = "forest", **fields: object) -> str:
    request = msgspec.convert({"experiment_id": "0", "name": name, **fields}, CreateLoggedModel)
    return store.create_logged_model(request).info.model_id


def measure(store: TrackingStore, model_id: str, value: float | str, **fields: object) -> None:
    entry = {"key": "acc", "value": value, "timestamp": 5, "step": 0, "model_id": model_id}
    point = msgspec.convert({**entry, **fields}, Metric)
    store.log_batch(LogBatch(run_id=start(store), metrics=[point]))


def names(store: TrackingStore, **fields: object) -> list[str]:
    request = msgspec.convert({"experiment_ids": ["0"], **fields}, SearchLoggedModels)
    return [model.info.name for model in store.search_logged_models(request).models]


# --- logged models ----------------------------------------------------------------------------


def test_a_new_model_is_pending_and_has_a_place_of_its_own(store: TrackingStore) -> None:
    request = CreateLoggedModel(
        experiment_id="0",
        name="forest",
        model_type="classifier",
        source_run_id="r1",
        params=[Param(key="depth", value="3")],
        tags=[Tag(key="team", value="a")],
    )

    made = store.create_logged_model(request)

    assert made == store.logged_model(made.info.model_id)
    assert made.info.status == "LOGGED_MODEL_PENDING"
    assert made.info.artifact_uri == f"mlflow-artifacts:/0/models/{made.info.model_id}/artifacts"
    assert (made.info.name, made.info.model_type) == ("forest", "classifier")
    assert (made.info.source_run_id, made.info.tags) == ("r1", [Tag(key="team", value="a")])
    assert made.data.params == [Param(key="depth", value="3")]


def test_a_model_without_a_name_gets_one(store: TrackingStore) -> None:
    made = store.create_logged_model(CreateLoggedModel(experiment_id="0"))

    assert made.info.name.count("-") == 2


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a.b", "50%", "'a", '"a', "x" * 501, "a\0b"])
def test_a_name_that_no_model_may_have_is_refused(store: TrackingStore, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"name|NUL"):
        make(store, name)


def test_a_model_of_no_experiment_or_a_deleted_one_is_refused(store: TrackingStore) -> None:
    deleted = store.create_experiment(CreateExperiment(name="old"))
    store.delete_experiment(deleted)

    with pytest.raises(InvalidRequest, match="'active' state"):
        make(store, experiment_id=deleted)
    with pytest.raises(ResourceMissing, match="No Experiment with id=77 exists"):
        make(store, experiment_id="77")


@pytest.mark.parametrize("status", ["LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"])
def test_a_model_is_finalized(store: TrackingStore, status: str) -> None:
    model_id = make(store)

    told = store.finalize_logged_model(model_id, status)

    assert told == store.logged_model(model_id)
    assert told.info.status == status


@pytest.mark.parametrize("status", ["LOGGED_MODEL_PENDING", "RUNNING", "READY", ""])
def test_a_status_that_ends_nothing_is_refused(store: TrackingStore, status: str) -> None:
    model_id = make(store)

    with pytest.raises(InvalidRequest, match="status"):
        store.finalize_logged_model(model_id, status)


def test_a_deleted_model_is_not_found(store: TrackingStore) -> None:
    model_id = make(store)

    store.delete_logged_model(model_id)

    assert names(store) == []
    with pytest.raises(ResourceMissing, match="not found"):
        store.logged_model(model_id)


def test_nothing_can_be_done_with_a_model_that_is_not_there(store: TrackingStore) -> None:
    for act in (
        lambda: store.logged_model(UNKNOWN),
        lambda: store.delete_logged_model(UNKNOWN),
        lambda: store.finalize_logged_model(UNKNOWN, "LOGGED_MODEL_READY"),
        lambda: store.add_logged_model_params(UNKNOWN, [Param(key="a", value="1")]),
        lambda: store.set_logged_model_tags(UNKNOWN, [Tag(key="a", value="1")]),
        lambda: store.delete_logged_model_tag(UNKNOWN, "a"),
        lambda: measure(store, UNKNOWN, 1.0),
    ):
        with pytest.raises(ResourceMissing, match="not found"):
            act()


def test_params_are_added_and_never_changed(store: TrackingStore) -> None:
    model_id = make(store, params=[{"key": "a", "value": "1"}])

    same_and_new = [Param(key="a", value="1"), Param(key="b", value="2")]
    store.add_logged_model_params(model_id, same_and_new)

    assert store.logged_model(model_id).data.params == same_and_new
    with pytest.raises(InvalidRequest, match="Changing param values is not allowed"):
        store.add_logged_model_params(model_id, [Param(key="a", value="2")])


def test_tags_are_overwritten_and_removed(store: TrackingStore) -> None:
    model_id = make(store, tags=[{"key": "a", "value": "1"}])

    told = store.set_logged_model_tags(
        model_id, [Tag(key="a", value="2"), Tag(key="é/b c", value="")]
    )
    store.delete_logged_model_tag(model_id, "é/b c")

    assert told.info.tags == [Tag(key="a", value="2"), Tag(key="é/b c")]
    assert store.logged_model(model_id).info.tags == [Tag(key="a", value="2")]
    with pytest.raises(ResourceMissing, match="No tag with key"):
        store.delete_logged_model_tag(model_id, "é/b c")


def test_a_metric_that_names_a_model_is_the_runs_and_the_models(store: TrackingStore) -> None:
    run_id, model_id = start(store), make(store)
    point = Metric(
        key="acc",
        value=0.5,
        timestamp=5,
        step=2,
        model_id=model_id,
        dataset_name="iris",
        dataset_digest="1",
    )

    for _ in range(2):
        store.log_batch(LogBatch(run_id=run_id, metrics=[point]))

    assert store.logged_model(model_id).data.metrics == [
        msgspec.structs.replace(point, run_id=run_id)
    ]
    assert [metric.value for metric in store.run(run_id).data.metrics] == [0.5]


# --- searching --------------------------------------------------------------------------------


def test_search_compares_each_kind_of_thing(store: TrackingStore) -> None:
    forest = make(store, params=[{"key": "depth", "value": "3"}], model_type="tree")
    make(store, "linear", tags=[{"key": "team", "value": "b"}], source_run_id="r2")
    measure(store, forest, 0.9)
    store.finalize_logged_model(forest, "LOGGED_MODEL_READY")

    for text, found in {
        "name = 'forest'": ["forest"],
        "attributes.name ILIKE 'L%'": ["linear"],
        f"model_id = '{forest}'": ["forest"],
        "status = 'READY'": ["forest"],
        "status IN ('LOGGED_MODEL_PENDING')": ["linear"],
        "model_type != 'tree'": ["linear"],
        "source_run_id = 'r2' AND tags.team = 'b'": ["linear"],
        "params.depth = '3'": ["forest"],
        "metrics.acc > 0.8 AND creation_timestamp > 0": ["forest"],
        "metrics.acc < 0.8": [],
        "name NOT IN ('forest', 'linear')": [],
    }.items():
        assert names(store, filter=text) == found, text


@pytest.mark.parametrize(
    "text", ["nonsense", "colour = 'red'", "name > 'a'", "metrics.acc = 'x'", "a.b = 'c'"]
)
def test_a_filter_that_makes_no_sense_is_refused(store: TrackingStore, text: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid filter"):
        names(store, filter=text)


def test_a_search_that_no_database_can_be_asked_is_refused(store: TrackingStore) -> None:
    with pytest.raises(InvalidRequest, match="At most 15000 experiment_ids"):
        names(store, experiment_ids=["0"] * 15_001)
    with pytest.raises(InvalidRequest, match=r"dataset_name|NUL"):
        names(store, datasets=[{"dataset_name": "a\0b"}])


def test_datasets_may_be_many(store: TrackingStore) -> None:
    measure(store, make(store, "a"), 0.9, dataset_name="d7", dataset_digest="1")
    measure(store, make(store, "b"), 0.9, dataset_name="d7", dataset_digest="2")
    measure(store, make(store, "c"), 0.9, dataset_name="d", dataset_digest="71")
    whole = [{"dataset_name": f"d{n}", "dataset_digest": "1"} for n in range(1_500)]
    named = [{"dataset_name": f"d{n}"} for n in range(1_500)]

    assert names(store, datasets=whole) == ["a"]
    assert names(store, datasets=named) == ["b", "a"]
    assert names(store, filter="metrics.acc > 0.5", datasets=whole) == ["a"]
    assert names(store, filter="metrics.acc > 0.9", datasets=named) == []


def test_a_dataset_restricts_which_metrics_count(store: TrackingStore) -> None:
    measure(store, make(store, "a"), 0.9, dataset_name="iris", dataset_digest="1")
    measure(store, make(store, "b"), 0.9, dataset_name="wine", dataset_digest="2")

    wine = [msgspec.to_builtins(DatasetReference(dataset_name="wine"))]
    other = [msgspec.to_builtins(DatasetReference(dataset_name="wine", dataset_digest="9"))]

    assert names(store, filter="metrics.acc > 0.5", datasets=wine) == ["b"]
    assert names(store, datasets=wine) == ["b"]
    assert names(store, filter="metrics.acc > 0.5", datasets=other) == []


def test_an_order_by_a_metric_takes_its_last_point_and_leaves_gaps_last(
    store: TrackingStore,
) -> None:
    logged: dict[str, list[float | str]] = {
        "none": [],
        "nan": ["NaN"],
        "low": [0.9, 0.1],
        "high": [0.5],
    }
    for name, values in logged.items():
        model_id = make(store, name)
        for step, value in enumerate(values):
            measure(store, model_id, value, step=step)

    def ordered(*, ascending: bool) -> list[str]:
        order = LoggedModelOrder(field_name="metrics.acc", ascending=ascending)
        return names(store, order_by=[msgspec.to_builtins(order)])

    assert ordered(ascending=True) == ["low", "high", "nan", "none"]
    assert ordered(ascending=False) == ["high", "low", "nan", "none"]


def test_pages_follow_each_other(store: TrackingStore) -> None:
    for name in ("c", "a", "b"):
        make(store, name)
    request = SearchLoggedModels(
        experiment_ids=["0"], max_results=2, order_by=[LoggedModelOrder(field_name="name")]
    )

    first = store.search_logged_models(request)
    following = msgspec.structs.replace(request, page_token=first.next_page_token)
    second = store.search_logged_models(following)

    found = [[model.info.name for model in page.models] for page in (first, second)]
    assert found == [["a", "b"], ["c"]]
    assert second.next_page_token is None


# --- what runs read and made ------------------------------------------------------------------


def test_a_run_tells_what_it_read_and_made(store: TrackingStore) -> None:
    run_id, model_id = start(store), make(store)
    read = DatasetInput(dataset=IRIS, tags=[Tag(key="mlflow.data.context", value="training")])

    for _ in range(2):
        inputs = LogInputs(run_id=run_id, datasets=[read], models=[ModelInput(model_id=model_id)])
        store.log_inputs(inputs)
        made = [ModelOutput(model_id=model_id, step=3)]
        store.log_outputs(LogOutputs(run_id=run_id, models=made))

    run = store.run(run_id)
    models = [ModelInput(model_id=model_id)]
    assert run.inputs == RunInputs(dataset_inputs=[read], model_inputs=models)
    assert run.outputs == RunOutputs(model_outputs=[ModelOutput(model_id=model_id, step=3)])


def test_a_run_that_read_and_made_nothing_tells_nothing(store: TrackingStore) -> None:
    run = store.run(start(store))

    assert (run.inputs, run.outputs) == (RunInputs(), RunOutputs())


@pytest.mark.parametrize(
    "dataset",
    [
        Dataset(name="", digest="a"),
        Dataset(name="a", digest=""),
        Dataset(name="x" * 501, digest="a"),
        Dataset(name="a", digest="x" * 37),
        Dataset(name="a", digest="b", source="x" * 65_536),
        Dataset(name="a", digest="b", profile="\0"),
    ],
)
def test_a_dataset_that_may_not_be_is_refused(store: TrackingStore, dataset: Dataset) -> None:
    inputs = LogInputs(run_id=start(store), datasets=[DatasetInput(dataset=dataset)])

    with pytest.raises(InvalidRequest, match=r"dataset|NUL"):
        store.log_inputs(inputs)


@pytest.mark.parametrize("tag", [Tag(key=""), Tag(key="x" * 256), Tag(key="a", value="x" * 501)])
def test_a_tag_of_an_input_that_may_not_be_is_refused(store: TrackingStore, tag: Tag) -> None:
    inputs = LogInputs(run_id=start(store), datasets=[DatasetInput(dataset=IRIS, tags=[tag])])

    with pytest.raises(InvalidRequest, match="Invalid value"):
        store.log_inputs(inputs)


def test_a_deleted_run_reads_and_makes_nothing(store: TrackingStore) -> None:
    run_id = start(store)
    store.delete_run(run_id)

    acts: list[Callable[[], None]] = [
        lambda: store.log_inputs(LogInputs(run_id=run_id)),
        lambda: store.log_outputs(LogOutputs(run_id=run_id)),
        lambda: store.log_model(LogModel(run_id=run_id, model_json="{}")),
    ]
    for act in acts:
        with pytest.raises(InvalidRequest, match="'active' state"):
            act()


def test_an_older_clients_models_are_listed_in_a_tag(store: TrackingStore) -> None:
    run_id = start(store)
    model = {"artifact_path": "m", "flavors": {}, "utc_time_created": "now", "run_id": run_id}
    text = msgspec.json.encode(model).decode()

    for _ in range(2):
        store.log_model(LogModel(run_id=run_id, model_json=text))

    tags = {tag.key: tag.value for tag in store.run(run_id).data.tags}
    assert msgspec.json.decode(tags["mlflow.log-model.history"]) == [model, model]


@pytest.mark.parametrize("text", ["", "no", "[]", '{"artifact_path": "m"}'])
def test_what_is_no_model_of_an_older_client_is_refused(store: TrackingStore, text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"[Mm]odel"):
        store.log_model(LogModel(run_id=start(store), model_json=text))


def test_a_tag_of_an_experiment_is_removed(store: TrackingStore) -> None:
    store.set_experiment_tag(SetExperimentTag(experiment_id="0", key="a", value="1"))

    store.delete_experiment_tag("0", "a")

    assert store.experiment("0").tags == []
    with pytest.raises(ResourceMissing, match="No tag"):
        store.delete_experiment_tag("0", "a")
