"""A long curve in few buckets: what a bucket keeps of its points, and which points draw a curve.

Pure. A curve's points are in the order of their tuples: step, timestamp, value, and whether it is
NaN, whose value is then 0. Buckets hold points in the order in which they came.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

Point = tuple[int, int, float, bool]
"""Step, timestamp, value, is NaN."""

_ENDS = 2


class Bucket(Struct, frozen=True, array_like=True, gc=False):
    """What is kept of some points: enough to draw them, and to find them again. Immutable.

    Args:
        count: How many there are; a point that is logged twice counts once.
        time_low: The earliest timestamp.
        time_high: The latest timestamp.
        first: In the order of the curve.
        last: In the order of the curve.
        low: With the smallest value, the first of them; NaN only where there is no number.
        high: With the greatest value, the first of them; NaN only where there is no number.
    """

    count: int
    time_low: int
    time_high: int
    first: Point
    last: Point
    low: Point
    high: Point


def gather(points: Sequence[Point], *, count: int) -> Bucket:
    """Return the bucket of some points, of which so many are counted."""
    times = [point[1] for point in points]
    return Bucket(
        count,
        min(times),
        max(times),
        min(points),
        max(points),
        min(points, key=_lowness),
        min(points, key=_highness),
    )


def merge(buckets: Sequence[Bucket]) -> Bucket:
    """Return the bucket of all points of several."""
    return Bucket(
        sum(bucket.count for bucket in buckets),
        min(bucket.time_low for bucket in buckets),
        max(bucket.time_high for bucket in buckets),
        min(bucket.first for bucket in buckets),
        max(bucket.last for bucket in buckets),
        min((bucket.low for bucket in buckets), key=_lowness),
        min((bucket.high for bucket in buckets), key=_highness),
    )


def thin(buckets: Iterable[Bucket], most: int) -> list[Point]:
    """Return at most ``most`` points that draw the curve of these buckets, in its order.

    The first and the last are among them, and with 4 or more the lowest and the highest of each of
    as many even groups as fit.
    """
    lying = sorted(buckets, key=lambda bucket: bucket.first)
    kept = {max(bucket.last for bucket in lying)}
    if most >= _ENDS:
        kept.add(lying[0].first)
    if most >= 2 * _ENDS:
        for group in _even(lying, groups_within(most)):
            kept.add(min((bucket.low for bucket in group), key=_lowness))
            kept.add(min((bucket.high for bucket in group), key=_highness))
    return sorted(kept)


def groups_within(most: int) -> int:
    """Return how many groups give so many points at the most: two each, and the ends."""
    return max(1, (most - _ENDS) // 2)


def _even(buckets: Sequence[Bucket], groups: int) -> Iterator[Sequence[Bucket]]:
    places = [len(buckets) * number // groups for number in range(groups + 1)]
    for start, end in itertools.pairwise(places):
        if start < end:
            yield buckets[start:end]


def _lowness(point: Point) -> tuple[bool, float, Point]:
    return point[3], point[2], point


def _highness(point: Point) -> tuple[bool, float, Point]:
    return point[3], -point[2], point
