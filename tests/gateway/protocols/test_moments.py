import numpy as np
import pytest

from gateway.protocols.moments import moments_of, read_moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01", "2024-05-01"),
        ("20240501", "2024-05-01"),
        ("2024/5/1", "2024-05-01"),
        ("2024.05.01", "2024-05-01"),
        ("2024-05", "2024-05-01"),
        ("2024", "2024-01-01"),
        ("2024-05-01 9:05", "2024-05-01T09:05"),
        ("2024/05/01 12:00:00.123456789", "2024-05-01T12:00:00.123456789"),
        ("2024-05-01 12:00:00 UTC", "2024-05-01T12:00"),
        ("2024-05-01 12:00:00 +0200", "2024-05-01T10:00"),
        ("2024-05-01T12:34:56.789+02:00", "2024-05-01T10:34:56.789"),
        ("NaT", "NaT"),
    ],
)
def test_what_begins_with_the_year_has_one_reading(text: str, moment: str) -> None:
    read = read_moment(text)

    assert (read.dtype, str(read)) == (np.dtype("M8[ns]"), str(np.datetime64(moment, "ns")))


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "01/05/2024", "May 1, 2024", "2024-5/1", "2024-13", "2024-5-32",
        "2024-5-1 25:00", "2024-5-1-03:00", "2024-5 10:00", "2024-5-1 12:00 +1",
        "\u0662\u0660\u0662\u0664-5", "2024-5-1 " + "1:" * 10_000,
    ],
)  # fmt: skip
def test_any_other_text_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_moment(text)


@pytest.mark.parametrize("unit", ["Y", "D", "h", "s", "us", "ns"])
def test_arrays_of_any_unit_keep_their_moments_or_are_none(unit: str) -> None:
    inside = np.array(["1678-06-01", "NaT", "2261-12-31"], f"M8[{unit}]")

    found = moments_of(inside)

    assert found is not None
    assert found.dtype == np.dtype("M8[ns]")
    np.testing.assert_array_equal(found, inside)
    if unit != "ns":
        assert moments_of(np.array(["NaT", "9999-01-01"], f"M8[{unit}]")) is None
