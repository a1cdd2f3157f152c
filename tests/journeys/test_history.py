"""The judge finds planted faults; a judge that finds none proves nothing."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.journeys.history import (
    Answered,
    Moved,
    Promoted,
    Recorded,
    Seen,
    Written,
    failures,
    false_answers,
    false_productions,
    lost_writes,
    out_of_turn,
    record,
    recorded,
    refused_writes,
    torn_writes,
    unanswered,
    wanderers,
)
from tests.journeys.models import marked_answer

GOOD = Answered(
    [1.0, 2.0, 3.0], "key", 10.0, 10.1, status=200, version=1, variant="stable", answer=1006.0
)
PROMOTIONS = [Promoted(1, 0.0, 1.0), Promoted(2, 20.0, 21.0), Promoted(1, 30.0, 31.0)]


def test_a_good_history_has_no_faults() -> None:
    history = [GOOD, replace(GOOD, begun_s=10.2, ended_s=10.3)]

    assert failures(history) == []
    assert false_answers(history, marked_answer) == []
    assert out_of_turn(history, PROMOTIONS) == []
    assert wanderers(history) == {}


def test_an_empty_history_is_a_fault() -> None:
    assert false_answers([], marked_answer) == ["nothing was asked"]


def test_a_swapped_version_header_is_found() -> None:
    swapped = replace(GOOD, version=2)

    assert len(false_answers([GOOD, swapped], marked_answer)) == 1


def test_a_call_without_an_answer_is_found() -> None:
    lost = Answered([1.0, 2.0, 3.0], "", 10.0, 10.1, error="EOFError()")

    assert failures([GOOD, lost]) == [lost]


def test_an_unpinned_key_is_found() -> None:
    strayed = replace(GOOD, variant="candidate")

    assert wanderers([GOOD, strayed]) == {"key": {"stable", "candidate"}}


def test_an_old_answer_after_a_promotion_was_active_is_found() -> None:
    late = replace(GOOD, begun_s=21.5, ended_s=21.6)

    assert len(out_of_turn([late], PROMOTIONS)) == 1


def test_an_answer_before_its_promotion_was_asked_for_is_found() -> None:
    early = replace(GOOD, version=2, begun_s=19.0, ended_s=19.9)

    assert len(out_of_turn([early], PROMOTIONS)) == 1


def test_both_versions_may_answer_while_a_promotion_is_under_way() -> None:
    old = replace(GOOD, begun_s=20.5, ended_s=20.6)

    assert out_of_turn([old, replace(old, version=2)], PROMOTIONS) == []


def test_a_history_is_read_from_its_file_as_it_was_written(tmp_path: Path) -> None:
    history: list[Recorded] = [
        Written("é", 1.0, 2.0, 500, "no"),
        Moved("1", 1.0, 2.0, 200),
        Seen(["1"], 2.0, 3.0),
    ]

    record(tmp_path / "history", history)

    assert recorded(tmp_path / "history") == history


def test_writes_that_are_lost_torn_refused_or_unanswered_are_found() -> None:
    kept, lost = Written("a", 0.0, 1.0, 200), Written("b", 0.0, 1.0, 200)
    refused, cut = Written("c", 0.0, 1.0, 503), Written("d", 0.0, 1.0)
    history = [kept, lost, refused, cut]

    assert lost_writes(history, {"a", "c"}) == ["b"]
    assert lost_writes([refused, cut], {"c"}) == ["nothing was acknowledged"]
    assert torn_writes(["a", "r torn artifact w4"]) == ["r torn artifact w4"]
    assert refused_writes(history) == [refused]
    assert unanswered(history) == [cut]


MOVES: list[Recorded] = [
    Moved("1", 0.0, 1.0, 200),
    Moved("2", 2.0, 3.0, 200),
    Moved("3", 2.5, 3.5, 200),
    Moved("4", 5.0, 6.0),
]


@pytest.mark.parametrize(
    "reading",
    [
        Seen([], 0.0, 0.5),
        Seen(["1"], 0.5, 0.6),
        Seen(["1"], 2.9, 2.95),
        Seen(["2"], 4.0, 4.1),
        Seen(["3"], 4.0, 4.1),
        Seen(["4"], 9.0, 9.1),
        Seen(["3"], 9.0, 9.1),
    ],
    ids=repr,
)
def test_what_may_have_been_in_production_is_no_fault(reading: Seen) -> None:
    assert false_productions([*MOVES, reading]) == []


@pytest.mark.parametrize(
    "reading",
    [
        Seen(["1", "2"], 2.5, 2.6),
        Seen([], 1.1, 1.2),
        Seen(["1"], 4.0, 4.1),
        Seen(["2"], 1.1, 1.9),
        Seen(["4"], 4.0, 4.1),
        Seen(["9"], 4.0, 4.1),
    ],
    ids=repr,
)
def test_what_cannot_have_been_in_production_is_found(reading: Seen) -> None:
    assert len(false_productions([*MOVES, reading])) == 1


def test_moves_that_nobody_looked_at_show_nothing() -> None:
    told = ["nothing was moved, or nobody looked"]

    assert false_productions(MOVES) == told
    assert false_productions([Seen(["1"], 0.0, 1.0)]) == told
