import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.retrying import LONGEST_PAUSE_MS, Again, GiveUp, decide, is_accepted


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
