"""The unmodified ``mlflow`` client does its users' tutorial against a real server of ours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.interop.client import run_script
from tests.journeys.server import Server, running


class Tutorial(Struct, frozen=True):
    """A server on which the tutorial was done, and what the client was told."""

    server: Server
    told: dict[str, Any]


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    folder: Path = tmp_path_factory.mktemp("tutorial")
    with running(Server(folder / "server")) as server:
        yield Tutorial(server, run_script("tutorial.py", url=server.url, folder=folder))


def test_the_client_finds_all_that_it_logged(tutorial: Tutorial) -> None:
    told = tutorial.told
    run_id, model_id, seen = told["run_id"], told["model_id"], told["seen"]
    source = f"runs:/{run_id}/random_forest_model"

    assert seen == {
        "status": "FINISHED",
        "params": {"n_estimators": "5", "random_state": "0"},
        "losses": [1.0, 0.5, 1.0 / 3.0],
        "artifacts": ["classes.json", "report.txt"],
        "dataset": ["iris", "training"],
        "outputs": [model_id],
        "logged": ["random_forest_model", "READY", run_id],
        "logged_params": {"n_estimators": "5", "random_state": "0"},
        # The client gives a model the points of the step that it was logged at.
        "logged_metrics": [["accuracy", 0], ["loss", 0]],
        # The server notes the version, and then the client does.
        "logged_versions": 2 * [{"name": "IrisRF", "version": "1"}],
        "found": [model_id],
        "first_source": f"models:/{model_id}",
        "second": [source, "from a run's URI", {"validated": "yes"}, ["champion"]],
        "stages": {"1": "Archived", "2": "Production"},
        "models": ["sorts irises"],
        "latest": ["2"],
    }


def test_every_uri_loads_the_model_that_was_logged(tutorial: Tutorial) -> None:
    """Also ``models:/IrisRF/2``, made from a run's URI that names no folder of the run."""
    told = tutorial.told

    assert len(told["predictions"]) == 6
    assert set(map(tuple, told["predictions"].values())) == {tuple(told["expected"])}


def test_the_client_of_deployments_is_answered(tutorial: Tutorial) -> None:
    assert tutorial.told["deployed"] == tutorial.told["expected"]


@pytest.mark.parametrize("target", ["IrisRF", "IrisRF/1", "IrisRF/2", "IrisRF@champion"])
def test_what_the_client_registered_answers_over_http(tutorial: Tutorial, target: str) -> None:
    server, told = tutorial.server, tutorial.told

    def all_answer() -> bool:
        replies = server.ask_every_worker(lambda: server.predict(target, told["rows"]))
        return {reply.status for reply in replies.values()} == {200}

    server.wait_until(all_answer, f"{target} served by every worker")

    assert server.predict(target, told["rows"]).predictions == told["expected"]
