import subprocess
import sys
import threading

import pandas as pd
import pytest

import stagedoor
from stagedoor.runs import ActiveRun
from tracking.errors import InvalidRequest, ResourceMissing


def test_a_run_ends_finished_with_its_block() -> None:
    with stagedoor.start_run(run_name="first") as run:
        assert stagedoor.active_run() is run

    ended = stagedoor.get_run(run.info.run_id)
    assert stagedoor.active_run() is None
    assert (ended.info.run_name, ended.info.status) == ("first", "FINISHED")
    assert ended.info.end_time is not None
    assert ended.info.start_time is not None
    assert ended.info.end_time >= ended.info.start_time


def test_a_run_whose_block_raises_ends_failed() -> None:
    with pytest.raises(RuntimeError), stagedoor.start_run() as run:
        raise RuntimeError

    assert stagedoor.get_run(run.info.run_id).info.status == "FAILED"


def test_end_run_says_how_it_ended() -> None:
    run = stagedoor.start_run()

    stagedoor.end_run("KILLED")

    assert stagedoor.get_run(run.info.run_id).info.status == "KILLED"
    assert stagedoor.active_run() is None


def test_a_second_run_must_be_nested() -> None:
    with (
        stagedoor.start_run(run_name="outer"),
        pytest.raises(InvalidRequest, match=r"'outer'.*nested=True"),
    ):
        stagedoor.start_run()


def test_a_nested_run_knows_its_parent_and_its_experiment() -> None:
    stagedoor.set_experiment("nesting")

    with stagedoor.start_run() as outer:
        with stagedoor.start_run(nested=True) as inner:
            assert stagedoor.active_run() is inner
        assert stagedoor.active_run() is outer

    child = stagedoor.get_run(inner.info.run_id)
    assert child.data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert child.info.experiment_id == outer.info.experiment_id


def test_a_run_can_be_gone_on_with() -> None:
    with stagedoor.start_run() as first:
        stagedoor.log_param("a", 1)

    with stagedoor.start_run(run_id=first.info.run_id) as again:
        stagedoor.log_param("b", 2)
        assert stagedoor.get_run(again.info.run_id).info.status == "RUNNING"

    assert stagedoor.get_run(first.info.run_id).data.params == {"a": "1", "b": "2"}


def test_the_environment_may_name_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with stagedoor.start_run() as first:
        pass
    monkeypatch.setenv("MLFLOW_RUN_ID", first.info.run_id)

    with stagedoor.start_run() as again:
        assert again.info.run_id == first.info.run_id


def test_a_deleted_run_is_not_gone_on_with() -> None:
    with stagedoor.start_run() as run:
        pass
    stagedoor.delete_run(run.info.run_id)

    with pytest.raises(InvalidRequest, match="is deleted"):
        stagedoor.start_run(run_id=run.info.run_id)


def test_an_unknown_run_is_missing() -> None:
    with pytest.raises(ResourceMissing):
        stagedoor.start_run(run_id="0" * 32)
    assert stagedoor.active_run() is None


def test_tags_and_description_are_written_at_the_start() -> None:
    with stagedoor.start_run(tags={"team": "a", "size": 3}, description="why") as run:
        pass

    tags = stagedoor.get_run(run.info.run_id).data.tags
    assert (tags["team"], tags["size"]) == ("a", "3")
    assert tags["mlflow.note.content"] == "why"
    assert tags["mlflow.source.type"] == "LOCAL"
    assert tags["mlflow.user"] == run.info.user_id


def test_each_thread_has_its_own_active_run() -> None:
    seen: list[ActiveRun | None] = []
    with stagedoor.start_run():
        thread = threading.Thread(target=lambda: seen.append(stagedoor.active_run()))
        thread.start()
        thread.join()

    assert seen == [None]


def test_a_program_that_forgets_its_run_leaves_it_finished(tracking_uri: str) -> None:
    program = "import stagedoor, sys; stagedoor.set_tracking_uri(sys.argv[1]); "
    program += "print(stagedoor.start_run().info.run_id)"

    answer = subprocess.run(
        [sys.executable, "-c", program, tracking_uri], capture_output=True, text=True, check=True
    )

    assert stagedoor.get_run(answer.stdout.strip()).info.status == "FINISHED"


def test_runs_are_found_as_a_table_and_as_a_list() -> None:
    stagedoor.set_experiment("searching")
    for depth in (3, 5):
        with stagedoor.start_run():
            stagedoor.log_param("depth", depth)
            stagedoor.log_metric("accuracy", depth / 10)

    frame = stagedoor.search_runs(order_by=["metrics.accuracy DESC"])
    runs = stagedoor.search_runs(filter_string="metrics.accuracy > 0.4", output_format="list")

    assert isinstance(frame, pd.DataFrame)
    assert frame["params.depth"].tolist() == ["5", "3"]
    assert frame["metrics.accuracy"].tolist() == [0.5, 0.3]
    assert [run.data.params["depth"] for run in runs] == ["5"]


def test_a_search_stops_at_the_number_asked_for() -> None:
    for _ in range(3):
        with stagedoor.start_run():
            pass

    assert len(stagedoor.search_runs(max_results=2, output_format="list")) == 2
