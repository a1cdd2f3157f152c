import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.serving.eviction import Eviction, Weighed, make_room
from registry.route import VersionKey


def _key(number: int) -> VersionKey:
    return VersionKey("iris", number, "")


def held(
    number: int, size: int, *, at_s: float = 0.0, pinned: bool = False, leases: int = 0
) -> Weighed:
    return Weighed(_key(number), size, pinned, leases, at_s)


def gone(*numbers: int, short: int = 0) -> Eviction:
    return Eviction(tuple(map(_key, numbers)), short)


@pytest.mark.parametrize(
    ("given_held", "needed", "expected"),
    [
        ([], 0, gone()),
        ([], 101, gone(short=1)),
        ([held(1, 60), held(2, 40)], 0, gone()),
        ([held(1, 60, at_s=2.0), held(2, 50, at_s=1.0)], 0, gone(2)),
        ([held(1, 60, at_s=1.0), held(2, 50, at_s=2.0)], 0, gone(1)),
        ([held(1, 60, at_s=1.0, pinned=True), held(2, 50, at_s=2.0)], 0, gone(2)),
        ([held(1, 60, at_s=1.0, leases=1), held(2, 50, at_s=2.0)], 0, gone(2)),
        ([held(1, 60, pinned=True), held(2, 40, leases=1)], 10, gone(short=10)),
        ([held(1, 60, pinned=True), held(2, 30)], 50, gone(2, short=10)),
        ([held(1, 50, at_s=1.0), held(2, 50, at_s=2.0)], 60, gone(1, 2)),
        ([held(1, 10, at_s=1.0), held(2, 90, at_s=2.0)], 50, gone(2)),
        ([held(1, 0, at_s=1.0), held(2, 100, at_s=2.0)], 50, gone(2)),
    ],
)
def test_what_goes_for_what_comes(
    given_held: list[Weighed], needed: int, expected: Eviction
) -> None:
    assert make_room(given_held, budget_bytes=100, needed_bytes=needed) == expected


_anything = st.builds(
    Weighed,
    key=st.builds(_key, st.integers(1, 8)),
    size_bytes=st.integers(0, 100),
    is_pinned=st.booleans(),
    leases=st.integers(0, 1),
    used_at_s=st.integers(0, 5).map(float),
)


@settings(deadline=None)
@given(st.lists(_anything, unique_by=lambda one: one.key), st.integers(0, 300), st.integers(0, 100))
def test_no_eviction_breaks_a_promise(everything: list[Weighed], budget: int, needed: int) -> None:
    eviction = make_room(everything, budget_bytes=budget, needed_bytes=needed)

    by_key = {one.key: one for one in everything}
    going = [by_key[key] for key in eviction.keys]
    evictable = [one for one in everything if not one.is_pinned and not one.leases]
    left = sum(one.size_bytes for one in everything if one.key not in eviction.keys) + needed
    assert all(one in evictable for one in going)
    assert [one.used_at_s for one in going] == sorted(one.used_at_s for one in going)
    assert eviction.short_bytes == max(0, left - budget)
    assert all(left + one.size_bytes > budget for one in going), "one of them could have stayed"
    if eviction.short_bytes:
        assert {one.key for one in evictable if one.size_bytes} == set(eviction.keys)
