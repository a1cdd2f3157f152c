import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.retrying import (
    LONGEST_PAUSE_MS,
    Again,
    GiveUp,
    decide,
    is_accepted,
    wait_asked_ms,
)

NOW_MS = 784_111_777_000  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("status", "accepted"),
    [
        (200, True),
        (204, True),
        (299, True),
        (301, False),
        (404, False),
        (500, False),
        (None, False),
    ],
)
def test_only_success_is_accepted(status: int | None, accepted: bool) -> None:  # noqa: FBT001
    assert is_accepted(status) is accepted


@pytest.mark.parametrize(
    ("attempts", "chance", "pause_ms"),
    [(1, 0.0, 500), (1, 1.0, 1_000), (2, 1.0, 2_000), (4, 0.0, 4_000), (99, 1.0, 600_000)],
)
def test_the_pause_doubles_and_has_an_end(attempts: int, chance: float, pause_ms: int) -> None:
    decided = decide(attempts, age_ms=0, give_up_after_ms=1, chance=chance)

    assert decided == Again(pause_ms)


def test_what_is_too_old_is_given_up() -> None:
    assert decide(1, age_ms=10, give_up_after_ms=10, chance=0.0) == GiveUp()


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_no_pause_is_without_bounds(attempts: int, chance: float) -> None:
    decided = decide(attempts, age_ms=0, give_up_after_ms=1, chance=chance)

    assert isinstance(decided, Again)
    assert 0 < decided.pause_ms <= LONGEST_PAUSE_MS


@pytest.mark.parametrize(
    ("retry_after", "asked_ms"),
    [
        ("", 0),
        ("0", 0),
        ("7", 7_000),
        (" 7 ", 7_000),
        ("99999999999999999999", LONGEST_PAUSE_MS),
        ("-1", 0),
        ("1.5", 0),
        ("\u0667", 0),
        ("soon", 0),
        ("Sun, 06 Nov 1994 08:49:39 GMT", 2_000),
        ("Sunday, 06-Nov-94 08:49:39 GMT", 2_000),
        ("Sun Nov  6 08:49:39 1994", 2_000),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
        ("Sun, 06 Nov 2094 08:00:00 GMT", LONGEST_PAUSE_MS),
    ],
)
def test_a_receiver_may_ask_for_seconds_or_until_a_date(retry_after: str, asked_ms: int) -> None:
    assert wait_asked_ms(retry_after, now_ms=NOW_MS) == asked_ms


@given(st.text(max_size=40))
def test_whatever_a_receiver_asks_for_has_bounds(retry_after: str) -> None:
    assert 0 <= wait_asked_ms(retry_after, now_ms=NOW_MS) <= LONGEST_PAUSE_MS


@pytest.mark.parametrize(("asked_ms", "pause_ms"), [(0, 500), (300, 500), (60_000, 60_000)])
def test_the_pause_is_no_shorter_than_asked_for(asked_ms: int, pause_ms: int) -> None:
    decided = decide(1, age_ms=0, give_up_after_ms=1, chance=0.0, asked_ms=asked_ms)

    assert decided == Again(pause_ms)


def test_what_is_too_old_is_given_up_whatever_is_asked_for() -> None:
    assert decide(1, age_ms=10, give_up_after_ms=10, chance=0.0, asked_ms=60_000) == GiveUp()
