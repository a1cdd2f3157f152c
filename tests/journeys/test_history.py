"""The judge finds planted faults; a judge that finds none proves nothing."""

from msgspec.structs import replace

from tests.journeys.history import (
    Answered,
    Promoted,
    failures,
    false_answers,
    out_of_turn,
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
