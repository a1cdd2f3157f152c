import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.mlflow.byte_range import Part, find_part

SIZES = st.integers(0, 10**15)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", Part(0, 1)),
        ("bytes=2-4", Part(2, 3)),
        ("Bytes= 2-4 ", Part(2, 3)),
        ("bytes=2-", Part(2, 8)),
        ("bytes=2-99", Part(2, 8)),
        ("bytes=-3", Part(7, 3)),
        ("bytes=-99", Part(0, 10)),
        ("bytes=10-", Part(10, 0)),
        ("bytes=11-20", Part(11, 0)),
        ("bytes=-0", Part(10, 0)),
        ("bytes=0-99999999999999999999", Part(0, 10)),
        ("bytes=-99999999999999999999", Part(0, 10)),
        ("bytes=" + "9" * 5_000 + "-", Part(10**18, 0)),
    ],
)
def test_one_range_is_a_part(header: str, expected: Part) -> None:
    assert find_part(header, 10) == expected


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes", "bytes=", "bytes=-", "bytes=4-2", "bytes=0-1,3-4", "rows=0-1", "bytes=a-b",
     "bytes=1-2-3", "bytes=+1-2", "bytes=\u0660-\u0661",
     "bytes=0x1-2"],
)  # fmt: skip
def test_anything_else_asks_for_the_whole(header: str | None) -> None:
    assert find_part(header, 10) is None


@given(first=SIZES, last=SIZES, size=SIZES)
def test_a_part_lies_within_the_file_or_is_empty(first: int, last: int, size: int) -> None:
    for header in (f"bytes={first}-{last}", f"bytes={first}-", f"bytes=-{last}"):
        part = find_part(header, size)

        assert (
            part is None or part.length == 0 or 0 <= part.offset < part.offset + part.length <= size
        )
