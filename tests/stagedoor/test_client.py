import pytest

import stagedoor
from stagedoor import StagedoorClient
from tracking.errors import InvalidRequest, ResourceExists, ResourceMissing


@pytest.fixture
def client(tracking_uri: str) -> StagedoorClient:
    return StagedoorClient(tracking_uri)


@pytest.fixture
def source(client: StagedoorClient) -> str:
    """A source that a version may have: a folder of a run."""
    run = client.create_run("0")
    client.log_text(run.info.run_id, "flavors: {}", "model/MLmodel")
    return f"runs:/{run.info.run_id}/model"


def test_a_model_goes_through_its_life(client: StagedoorClient) -> None:
    client.create_registered_model("one", tags={"a": 1}, description="first")

    client.update_registered_model("one", "second")
    client.set_registered_model_tag("one", "b", 2)
    client.delete_registered_model_tag("one", "a")
    renamed = client.rename_registered_model("one", "two")

    assert (renamed.name, renamed.description, renamed.tags) == ("two", "second", {"b": "2"})
    client.delete_registered_model("two")
    with pytest.raises(ResourceMissing):
        client.get_registered_model("two")


def test_a_version_goes_through_its_life(client: StagedoorClient, source: str) -> None:
    client.create_registered_model("m")
    made = client.create_model_version("m", source, tags={"a": 1}, description="first")

    client.update_model_version("m", made.version, "second")
    client.set_model_version_tag("m", 1, "b", 2)
    client.delete_model_version_tag("m", 1, "a")

    found = client.get_model_version("m", "1")
    assert (found.version, found.status, found.current_stage) == ("1", "READY", "None")
    assert (found.description, found.tags) == ("second", {"b": "2"})
    client.delete_model_version("m", 1)
    with pytest.raises(ResourceMissing):
        client.get_model_version("m", 1)


def test_what_enters_production_archives_what_was_there(
    client: StagedoorClient, source: str
) -> None:
    client.create_registered_model("m")
    for version in ("1", "2"):
        client.create_model_version("m", source)
        client.transition_model_version_stage(
            "m", version, "production", archive_existing_versions=True
        )

    stages = {one.version: one.current_stage for one in client.get_latest_versions("m")}
    assert stages == {"1": "Archived", "2": "Production"}
    assert [one.version for one in client.get_latest_versions("m", ["Production"])] == ["2"]


def test_an_alias_moves_and_goes(client: StagedoorClient, source: str) -> None:
    client.create_registered_model("m")
    for _ in range(2):
        client.create_model_version("m", source)
    client.set_registered_model_alias("m", "champion", 1)
    client.set_registered_model_alias("m", "champion", "2")

    assert client.get_model_version_by_alias("m", "champion").version == "2"
    assert client.get_registered_model("m").aliases == {"champion": "2"}
    client.delete_registered_model_alias("m", "champion")
    with pytest.raises(InvalidRequest):
        client.get_model_version_by_alias("m", "champion")


def test_searches_go_page_by_page(client: StagedoorClient, source: str) -> None:
    for name in ("a", "b", "c"):
        client.create_registered_model(name)
        client.create_model_version(name, source)

    first = client.search_registered_models(max_results=2, order_by=["name ASC"])
    second = client.search_registered_models(
        max_results=2, order_by=["name ASC"], page_token=first.token
    )

    assert [model.name for model in (*first, *second)] == ["a", "b", "c"]
    assert second.token is None
    assert [one.name for one in client.search_model_versions("name = 'b'")] == ["b"]


def test_a_name_is_taken_once(client: StagedoorClient) -> None:
    client.create_registered_model("m")

    with pytest.raises(ResourceExists):
        client.create_registered_model("m")


def test_a_run_is_written_by_id(client: StagedoorClient) -> None:
    run_id = client.create_run("0", run_name="named", start_time=1000).info.run_id

    client.log_param(run_id, "p", 1)
    client.log_metric(run_id, "m", 0.5, timestamp=1001, step=2)
    client.set_tag(run_id, "t", "x")
    client.delete_tag(run_id, "t")
    client.update_run(run_id, name="renamed")
    client.set_terminated(run_id, "FAILED", end_time=1002)

    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status, run.info.end_time) == ("renamed", "FAILED", 1002)
    assert (run.data.params, run.data.metrics) == ({"p": "1"}, {"m": 0.5})
    assert "t" not in run.data.tags


def test_a_run_is_deleted_and_restored(client: StagedoorClient) -> None:
    run_id = client.create_run("0").info.run_id

    client.delete_run(run_id)
    hidden = client.search_runs(["0"])
    client.restore_run(run_id)

    assert list(hidden) == []
    assert [run.info.run_id for run in client.search_runs(["0"])] == [run_id]


@pytest.mark.parametrize("uri", ["./mlruns", "ftp://x", "mysql://x"])
def test_a_tracking_uri_that_leads_nowhere_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest, match="sqlite:///"):
        StagedoorClient(uri)


def test_the_environment_names_the_tracking_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    stagedoor.set_tracking_uri("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert stagedoor.get_tracking_uri() == "http://127.0.0.1:1"

    monkeypatch.setenv("STAGEDOOR_TRACKING_URI", "sqlite:///mine.db")
    assert stagedoor.get_tracking_uri() == "sqlite:///mine.db"
