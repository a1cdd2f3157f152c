"""What a server tells of a model and of its own work, over TCP."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from sklearn.linear_model import LinearRegression

from tests.journeys.models import register
from tests.journeys.server import Server, running

TABLE = pd.DataFrame({"width": [1.0, 2.0, 3.0], "height": [4.0, 6.0, 5.0]})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one model in Production, saved with an example."""
    with running(Server(tmp_path_factory.mktemp("observed") / "server")) as server:
        model = LinearRegression().fit(TABLE, [1.0, 2.0, 3.0])
        register(server, "Boxes", model, input_example=TABLE)
        assert server.promote("Boxes", 1).status == 200
        yield server


@pytest.mark.parametrize("target", ["Boxes", "Boxes/1", "Boxes/Production", "Boxes/latest"])
def test_every_example_of_a_models_document_is_answered(served: Server, target: str) -> None:
    reply = served.get(f"/models/{target}/openapi.json")

    assert reply.status == 200, reply.body
    OpenAPIV31SpecValidator(reply.json()).validate()
    asked = [(path, body) for path, body in examples(reply.json())]
    assert len(asked) == 7
    assert {served.post(path, body).status for path, body in asked} == {200}


@pytest.mark.parametrize(
    ("target", "status"), [("Nobody", 404), ("Boxes/9", 404), ("Boxes/nowhere", 400)]
)
def test_there_is_no_document_of_what_is_not_there(
    served: Server, target: str, status: int
) -> None:
    assert served.get(f"/models/{target}/openapi.json").status == status


def examples(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield each example body with its path."""
    for path, item in document["paths"].items():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        for example in content.get("application/json", {}).get("examples", {}).values():
            yield path, example["value"]
