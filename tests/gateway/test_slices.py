"""A candidate leaves stable the time it needs."""

from gateway.series import MAX_MODELS
from gateway.slices import Slices, tail_s


def test_the_candidate_gives_up_while_stable_can_still_answer() -> None:
    slices = Slices()
    for seconds in [0.1] * 98 + [0.5] * 2:
        slices.note("iris", seconds)

    assert slices.candidate_deadline_s("iris", 10.0) == 9.5
    assert slices.candidate_deadline_s("never asked", 10.0) == 10.0


def test_what_stable_took_long_ago_is_forgotten() -> None:
    slices = Slices()
    for seconds in [9.0] * 5 + [0.5] * 128:
        slices.note("iris", seconds)

    assert slices.candidate_deadline_s("iris", 10.0) == 9.5


def test_no_more_models_are_remembered_than_are_shown() -> None:
    slices = Slices()
    for number in range(MAX_MODELS + 1):
        slices.note(f"model {number}", 1.0)

    assert slices.candidate_deadline_s("model 0", 10.0) == 10.0
    assert slices.candidate_deadline_s("model 1", 10.0) == 9.0


def test_the_tail_of_nothing_is_nothing() -> None:
    assert tail_s([]) == 0.0
    assert tail_s([0.3]) == 0.3
