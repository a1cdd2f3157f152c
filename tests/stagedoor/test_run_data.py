import math
import sys

import pytest

import stagedoor
from tracking.errors import InvalidRequest


def test_params_metrics_and_tags_are_read_back() -> None:
    with stagedoor.start_run() as run:
        assert stagedoor.log_param("depth", 3) == 3
        stagedoor.log_params({"lr": 0.1, "kind": None})
        stagedoor.log_metric("loss", 0.5)
        stagedoor.log_metrics({"a": 1, "b": 2.5}, step=4)
        stagedoor.set_tag("team", "x")
        stagedoor.set_tags({"n": 1})

    data = stagedoor.get_run(run.info.run_id).data
    assert data.params == {"depth": "3", "lr": "0.1", "kind": "None"}
    assert data.metrics == {"loss": 0.5, "a": 1.0, "b": 2.5}
    assert (data.tags["team"], data.tags["n"]) == ("x", "1")


def test_the_history_of_a_metric_keeps_every_point() -> None:
    with stagedoor.start_run() as run:
        for step in range(3):
            stagedoor.log_metric("loss", 1 / (step + 1), step=step, timestamp=1000 + step)

    points = stagedoor.StagedoorClient().get_metric_history(run.info.run_id, "loss")

    assert [(point.step or 0, point.timestamp) for point in points] == [
        (0, 1000), (1, 1001), (2, 1002)
    ]  # fmt: skip


def test_numbers_that_json_has_no_token_for_are_logged() -> None:
    with stagedoor.start_run() as run:
        stagedoor.log_metrics({"nan": math.nan, "up": math.inf, "down": -math.inf})

    found = stagedoor.get_run(run.info.run_id).data.metrics
    assert math.isnan(found["nan"])
    assert (found["up"], found["down"]) == (sys.float_info.max, -sys.float_info.max)


def test_logging_without_a_run_starts_one() -> None:
    stagedoor.log_metric("loss", 0.5)

    run = stagedoor.active_run()
    assert run is not None
    assert stagedoor.get_run(run.info.run_id).data.metrics == {"loss": 0.5}


def test_more_than_one_batch_holds_is_logged_all_the_same() -> None:
    with stagedoor.start_run() as run:
        stagedoor.log_params({f"p{at}": at for at in range(250)})
        stagedoor.log_metrics({f"m{at}": at for at in range(1100)})

    data = stagedoor.get_run(run.info.run_id).data
    assert (len(data.params), len(data.metrics)) == (250, 1100)


def test_a_param_cannot_become_another() -> None:
    with stagedoor.start_run():
        stagedoor.log_param("depth", 3)
        stagedoor.log_param("depth", 3)

        with pytest.raises(InvalidRequest):
            stagedoor.log_param("depth", 4)
