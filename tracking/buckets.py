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
    """Return about ``most`` points that draw the curve of these buckets, in its order.

    With 1 it is the last point, with 2 the ends. With more the ends, the lowest and the highest are
    among them, though they may be 4, then the lowest and the highest of each of as many even groups
    as fit, then others in between.
    """
    lying = sorted(buckets, key=lambda bucket: bucket.first)
    kept = {lying[0].first, max(bucket.last for bucket in lying)}
    for group in _even(lying, groups_within(most)):
        kept.add(min((bucket.low for bucket in group), key=_lowness))
        kept.add(min((bucket.high for bucket in group), key=_highness))
    told = itertools.chain.from_iterable((b.first, b.low, b.high, b.last) for b in lying)
    return fill(kept, told, most)


def fill(kept: set[Point], others: Iterable[Point], most: int) -> list[Point]:
    """Return points that are kept, with as many others as there is room for, in their order.

    Where less than three are asked for, they are the last ones of the two ends.
    """
    if most <= _ENDS:
        return sorted({min(kept), max(kept)})[-most:] if kept else []
    spare = sorted(set(others) - kept)
    room = min(most - len(kept), len(spare))
    added = [spare[(2 * place + 1) * len(spare) // (2 * room)] for place in range(room)]
    return sorted([*kept, *added])


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
