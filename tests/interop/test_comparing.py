"""The comparison itself finds what it should, and no more."""

import pytest

from tests.interop.comparing import Answers, Difference, compare
from tests.interop.known_differences import KNOWN, explain

RUN, OTHER = "a" * 32, "b" * 32


def answer(**body: object) -> Answers:
    return {"a call": {"status": 200, "body": body}}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (answer(run_id=RUN, uri=f"x/{RUN}"), answer(run_id=OTHER, uri=f"x/{OTHER}")),
        (answer(creation_time=1_700_000_000_000), answer(creation_time=1_800_000_000_000)),
        (answer(run_name="bold-crow-12"), answer(run_name="swift-cello-1")),
        (answer(next_page_token="a"), answer(next_page_token="b")),
        (answer(tags=[{"key": "a"}, {"key": "b"}]), answer(tags=[{"key": "b"}, {"key": "a"}])),
    ],
)
def test_what_must_differ_is_equal(theirs: Answers, ours: Answers) -> None:
    assert compare(theirs, ours) == []


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (answer(run_id=RUN, uri=f"x/{RUN}"), answer(run_id=OTHER, uri=f"x/{RUN}")),
        (answer(runs=[RUN, OTHER]), answer(runs=[OTHER])),
        (answer(version="1"), answer(version=1)),
        (answer(value=1), answer(value=1.0)),
        (answer(inputs={}), answer()),
        (answer(tags=[{"key": "a", "value": ""}]), answer(tags=[{"key": "a"}])),
        (answer(start_time=5), answer(start_time=6)),
        (answer(metrics=[1, 2]), answer(metrics=[2, 1])),
        (answer(next_page_token="a"), answer()),
        (answer(), {"a call": {"status": 400, "body": {}}}),
        (answer(), {}),
    ],
)
def test_what_must_not_differ_is_found(theirs: Answers, ours: Answers) -> None:
    assert compare(theirs, ours) != []


def test_what_nobody_explains_is_told_and_what_explains_nothing_too() -> None:
    planted = Difference(call="planted", field="body", theirs="1", ours="2")

    unexplained, stale = explain([planted])

    assert (unexplained, stale) == ([planted], KNOWN)
