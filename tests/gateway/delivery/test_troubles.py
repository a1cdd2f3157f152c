import logging

import pytest

from gateway.delivery.troubles import Troubles
from tracking.errors import ResourceConflict

REFUSED = ResourceConflict("two of them")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().partition(" cannot be changed")[0] for record in caplog.records]


def test_a_failure_is_told_once_and_another_one_of_the_model_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    troubles = Troubles()

    with caplog.at_level(logging.ERROR, "stagedoor.delivery"):
        for error in (REFUSED, ResourceConflict("two of them"), ValueError("another")):
            troubles.replace({"A": error})

    assert told(caplog) == ["the route of 'A'"] * 2
    assert [record.exc_info is not None for record in caplog.records] == [False, True]


def test_a_failure_that_comes_back_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    troubles = Troubles()

    with caplog.at_level(logging.ERROR, "stagedoor.delivery"):
        troubles.tell({"A": REFUSED})
        troubles.replace({})
        troubles.tell({"A": REFUSED, "B": REFUSED})

    assert told(caplog) == ["the route of 'A'", "the route of 'A'", "the route of 'B'"]


def test_only_the_first_line_counts_as_what_went_wrong(caplog: pytest.LogCaptureFixture) -> None:
    troubles = Troubles()

    with caplog.at_level(logging.ERROR, "stagedoor.delivery"):
        for moment in (1, 2):
            troubles.tell({"A": ValueError(f"(IntegrityError) no\n[parameters: {moment}]")})

    assert len(caplog.records) == 1
