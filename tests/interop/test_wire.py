"""Over raw HTTP our server answers as MLflow's did, field by field, but for what is explained.

MLflow's answers were kept by ``make interop ARGS=--record``; ``make interop`` asks it anew.
"""

from collections.abc import Iterator

import pytest

from tests.interop import recording
from tests.interop.calls.all_calls import call_everything
from tests.interop.comparing import Answers, compare
from tests.interop.known_differences import explain
from tests.journeys.server import Server, running


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    with running(Server(tmp_path_factory.mktemp("wire") / "server")) as server:
        yield call_everything(server.url)


def test_every_difference_is_explained(ours: Answers) -> None:
    theirs = {c: told for c, told in recording.load().items() if not c.startswith("client: ")}

    unexplained, _ = explain(compare(theirs, ours))

    assert unexplained == []


def test_no_answer_is_a_fault_of_the_server(ours: Answers) -> None:
    faults = {call: told for call, told in ours.items() if told["status"] >= 500}

    assert {told["status"] for told in faults.values()} <= {501}
    assert set(faults) == {"parts: create", "parts: complete", "parts: abort", "a signed URL"}
