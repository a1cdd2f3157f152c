import msgspec
import pytest

from stagedoor.demo.tally import Call, percentile, started_after, tally

LABELS = [3, 7]
ANSWERS = {1: [3, 1], 2: [3, 7]}
CALLS = [
    Call("ann", 0, 0.0, 0.010, version=1, variant="stable", answer=3),
    Call("ann", 1, 0.5, 0.520, version=1, variant="stable", answer=1),
    Call("bob", 0, 1.0, 1.030, version=2, variant="candidate", answer=3),
    Call("bob", 1, 1.5, 2.0, version=2, variant="candidate", answer=7),
]


def test_shares_and_accuracy_are_counted_by_version() -> None:
    added = tally(CALLS, LABELS, ANSWERS)

    parts = [(part.version, part.count, part.share, part.accuracy) for part in added.versions]
    assert parts == [(1, 2, 0.5, 0.5), (2, 2, 0.5, 1.0)]
    assert (added.count, added.failed, added.untrue, added.wavering) == (4, 0, 0, 0)


def test_speed_is_taken_from_the_first_start_to_the_last_end() -> None:
    added = tally(CALLS, LABELS, ANSWERS)

    assert added.rate == pytest.approx(2.0)
    assert added.p50_ms == pytest.approx(30.0)
    assert added.p99_ms == pytest.approx(500.0)


def test_an_answer_under_the_wrong_version_is_untrue() -> None:
    swapped = msgspec.structs.replace(CALLS[3], version=1)

    assert tally([swapped], LABELS, ANSWERS).untrue == 1


def test_an_answer_by_a_version_nobody_made_is_untrue() -> None:
    strange = msgspec.structs.replace(CALLS[0], version=9)

    assert tally([strange], LABELS, ANSWERS).untrue == 1


def test_a_key_that_meets_two_versions_wavers() -> None:
    moved = msgspec.structs.replace(CALLS[3], key="ann")

    assert tally([*CALLS[:3], moved], LABELS, ANSWERS).wavering == 1


def test_a_failed_call_counts_as_failed_and_for_no_version() -> None:
    failed = Call("eve", 0, 0.0, 0.1, why="500: no")

    added = tally([CALLS[0], failed], LABELS, ANSWERS)

    assert (added.failed, added.share_of(1), added.untrue) == (1, 1.0, 0)


def test_no_calls_add_up_to_nothing() -> None:
    added = tally([], LABELS, ANSWERS)

    assert (added.count, added.rate, added.p99_ms, added.versions) == (0, 0.0, 0.0, [])


def test_percentiles_stay_within_the_values() -> None:
    assert percentile([1.0, 2.0, 3.0], 1.0) == 3.0
    assert percentile([1.0, 2.0, 3.0], 0.5) == 2.0


def test_only_calls_that_began_later_are_after_a_moment() -> None:
    assert started_after(CALLS, 1.0) == CALLS[3:]
