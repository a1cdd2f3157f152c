"""Unmodified ``mlflow`` clients, 3.x and 2.x, do their users' tutorial against a server of ours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.interop.client import run_script
from tests.journeys.server import Server, running

NAME = "random_forest_model"


class Tutorial(Struct, frozen=True):
    """A server on which the tutorial was done, the client that did it, and what it was told."""

    server: Server
    client: str
    told: dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Server(tmp_path_factory.mktemp("tutorial") / "server")) as started:
        yield started


@pytest.fixture(scope="module", params=["mlflow", "mlflow2"])
def tutorial(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Tutorial:
    client: str = request.param
    folder: Path = tmp_path_factory.mktemp(client)
    told = run_script("tutorial.py", url=server.url, folder=folder, client=client)
    return Tutorial(server, client, told)


def test_the_client_finds_all_that_it_logged(tutorial: Tutorial) -> None:
    told = tutorial.told
    run_id, model_id = told["run_id"], told["model_id"]
    source = f"runs:/{run_id}/{NAME}"
    folder = [] if model_id else [NAME]

    assert told["seen"] == {
        "status": "FINISHED",
        "params": {"n_estimators": "5", "random_state": "0"},
        "losses": [1.0, 0.5, 1.0 / 3.0],
        "artifacts": ["classes.json", *folder, "report.txt"],
        "dataset": ["iris", "training"],
        "first_source": f"models:/{model_id}" if model_id else f"{told['artifacts']}/{NAME}",
        "second": [source, "from a run's URI", {"validated": "yes"}, ["champion"]],
        "stages": {"1": "Archived", "2": "Production"},
        "models": ["sorts irises"],
        "latest": ["2"],
    }


def test_the_client_finds_the_model_that_its_run_logged(tutorial: Tutorial) -> None:
    told = tutorial.told
    run_id, model_id = told["run_id"], told["model_id"]
    logged = {
        "outputs": [model_id],
        "logged": [NAME, "READY", run_id],
        "logged_params": {"n_estimators": "5", "random_state": "0"},
        # The client gives a model the points of the step that it was logged at.
        "logged_metrics": [["accuracy", 0], ["loss", 0]],
        # The server notes the version, and then the client does.
        "logged_versions": 2 * [{"name": told["model"], "version": "1"}],
        "found": [model_id],
    }

    assert told["logged"] == (logged if tutorial.client == "mlflow" else {})


def test_every_uri_loads_the_model_that_was_logged(tutorial: Tutorial) -> None:
    """Also ``models:/IrisRF/2``, made from a run's URI that names no folder of the run."""
    told = tutorial.told

    assert len(told["predictions"]) == (6 if told["model_id"] else 5)
    assert set(map(tuple, told["predictions"].values())) == {tuple(told["expected"])}


def test_the_client_says_what_is_not_there(tutorial: Tutorial) -> None:
    """An empty stage is an empty list, as MLflow has it: the sentence is the client's own."""
    failed, model = tutorial.told["failed"], tutorial.told["model"]

    assert failed["staged"] == []
    assert (
        f"No versions of model with name '{model}' and stage 'Staging' found" in failed["load"][1]
    )
    assert failed["create"][0] == "RESOURCE_DOES_NOT_EXIST"
    assert "Create it first, with create_registered_model('Nobody')" in failed["create"][1]


def test_the_client_of_deployments_is_answered(tutorial: Tutorial) -> None:
    assert tutorial.told["deployed"] == tutorial.told["expected"]


@pytest.mark.parametrize("ref", ["", "/1", "/2", "@champion"])
def test_what_the_client_registered_answers_over_http(tutorial: Tutorial, ref: str) -> None:
    server, told = tutorial.server, tutorial.told
    target = told["model"] + ref

    def all_answer() -> bool:
        replies = server.ask_every_worker(lambda: server.predict(target, told["rows"]))
        return {reply.status for reply in replies.values()} == {200}

    server.wait_until(all_answer, f"{target} served by every worker")

    assert server.predict(target, told["rows"]).predictions == told["expected"]
