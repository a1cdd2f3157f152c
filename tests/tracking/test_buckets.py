"""A bucket keeps of its points what draws them."""

from hypothesis import given
from hypothesis import strategies as st

from tracking.buckets import Bucket, Point, gather, merge, thin

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
POINTS = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(0, 3), NUMBERS, st.just(value=False))
    | st.tuples(st.integers(-3, 3), st.integers(0, 3), st.just(0.0), st.just(value=True)),
    min_size=1,
)


@given(points=POINTS, cut=st.integers(0, 50))
def test_buckets_that_are_merged_are_the_bucket_of_all_points(
    points: list[Point], cut: int
) -> None:
    parts = [part for part in (points[:cut], points[cut:]) if part]

    merged = merge([gather(part, count=len(part)) for part in parts])

    assert merged == gather(points, count=len(points))
    assert merge([merged, merged]) == Bucket(2 * len(points), *_rest(merged))


def _rest(bucket: Bucket) -> tuple[int, int, Point, Point, Point, Point]:
    return (
        bucket.time_low,
        bucket.time_high,
        bucket.first,
        bucket.last,
        bucket.low,
        bucket.high,
    )


def test_nan_is_neither_low_nor_high_where_there_is_a_number() -> None:
    nan: Point = (0, 0, 0.0, True)

    below, above = (gather([nan, (1, 1, value, False)], count=2) for value in (-5.0, 5.0))

    assert (below.low[2], below.high[2]) == (-5.0, -5.0)
    assert (above.low[2], above.high[2]) == (5.0, 5.0)
    assert gather([nan], count=1).low == nan


def test_of_equal_points_the_first_is_kept() -> None:
    bucket = gather([(2, 9, 1.0, False), (1, 9, 1.0, False), (1, 8, 1.0, False)], count=3)

    assert bucket.low == bucket.high == (1, 8, 1.0, False)


@given(points=POINTS, most=st.integers(1, 12))
def test_a_thinned_curve_is_short_and_in_order(points: list[Point], most: int) -> None:
    found = thin([gather([point], count=1) for point in points], most)

    assert found == sorted(set(found))
    whole = gather(points, count=len(points))
    needed = {whole.first, whole.last, whole.low, whole.high}
    if most <= 2:
        assert found == sorted({whole.first, whole.last})[-most:]
    else:
        assert needed <= set(found)
        assert len(found) == max(len(needed), min(most, len(set(points))))
