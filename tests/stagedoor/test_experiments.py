import pytest

import stagedoor
from tracking.errors import InvalidRequest, ResourceExists, ResourceMissing


def test_a_new_name_creates_the_experiment_and_new_runs_go_there() -> None:
    experiment = stagedoor.set_experiment("demo")

    with stagedoor.start_run() as run:
        pass

    assert experiment.name == "demo"
    assert run.info.experiment_id == experiment.experiment_id
    assert stagedoor.set_experiment("demo") == experiment


def test_an_experiment_can_be_chosen_by_id() -> None:
    made = stagedoor.create_experiment("by id", tags={"team": "x"})

    chosen = stagedoor.set_experiment(experiment_id=made)

    assert (chosen.name, chosen.tags) == ("by id", {"team": "x"})


def test_without_a_choice_runs_go_to_default() -> None:
    with stagedoor.start_run() as run:
        pass

    assert run.info.experiment_id == "0"
    assert stagedoor.get_experiment("0").name == "Default"


def test_the_environment_may_name_the_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from outside")

    with stagedoor.start_run() as run:
        pass

    found = stagedoor.get_experiment_by_name("from outside")
    assert found is not None
    assert run.info.experiment_id == found.experiment_id


def test_a_choice_holds_for_the_tracking_uri_it_was_made_with(tracking_uri: str) -> None:
    stagedoor.set_experiment("here")
    stagedoor.set_tracking_uri(tracking_uri.replace("stagedoor.db", "other.db"))

    with stagedoor.start_run() as run:
        pass

    assert run.info.experiment_id == "0"


def test_a_deleted_experiment_cannot_be_chosen() -> None:
    made = stagedoor.create_experiment("gone")
    stagedoor.StagedoorClient().delete_experiment(made)

    with pytest.raises(InvalidRequest, match="'gone' is deleted"):
        stagedoor.set_experiment("gone")


@pytest.mark.parametrize("choice", [{}, {"experiment_name": "a", "experiment_id": "1"}])
def test_a_choice_is_a_name_or_an_id(choice: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="not both"):
        stagedoor.set_experiment(**choice)


def test_a_name_is_taken_once() -> None:
    stagedoor.create_experiment("twice")

    with pytest.raises(ResourceExists):
        stagedoor.create_experiment("twice")


def test_unknown_experiments_are_none_or_missing() -> None:
    assert stagedoor.get_experiment_by_name("nobody") is None
    with pytest.raises(ResourceMissing):
        stagedoor.get_experiment("4711")


def test_experiments_are_searched_over_all_pages() -> None:
    for at in range(3):
        stagedoor.create_experiment(f"e{at}")

    assert {one.name for one in stagedoor.search_experiments()} == {"Default", "e0", "e1", "e2"}
    assert len(stagedoor.search_experiments(max_results=2)) == 2


def test_an_experiment_is_renamed_tagged_deleted_and_restored() -> None:
    client = stagedoor.StagedoorClient()
    made = client.create_experiment("old")

    client.rename_experiment(made, "new")
    client.set_experiment_tag(made, "n", 1)
    client.delete_experiment(made)
    deleted = client.get_experiment(made)
    client.restore_experiment(made)

    assert (deleted.name, deleted.tags, deleted.lifecycle_stage) == ("new", {"n": "1"}, "deleted")
    assert client.get_experiment(made).lifecycle_stage == "active"
