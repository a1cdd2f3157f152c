"""Which JSON values each type takes, and where a refusal points."""

from typing import Any

import numpy as np
import pytest

from gateway.protocols.elements import COLUMN_ELEMENTS, convert, infer_element, tensor_element
from gateway.protocols.refusals import in_column
from tracking.errors import InputMismatch

WHERE = in_column("a")
MOMENT = "datetime64[ns]"
YEARS = "one outside of the years 1678 to 2261"


@pytest.mark.parametrize(
    ("kind", "values", "array"),
    [
        ("double", [1, 2.5, None], np.array([1, 2.5, np.nan])),
        ("float", [1, 0.1], np.array([1, 0.1], np.float32)),
        ("long", [1, 2.0, -(2**63)], np.array([1, 2, -(2**63)])),
        ("integer", [1, -(2**31)], np.array([1, -(2**31)], np.int32)),
        ("boolean", [True, False], np.array([True, False])),
        ("string", ["x", None, "日本"], np.array(["x", None, "日本"], object)),
        ("binary", ["AAE=", None], np.array([b"\x00\x01", None], object)),
        ("long", [float(2**53), 1e15], np.array([2**53, 10**15])),
        (
            "datetime",
            ["2020-01-02T03:04:05.123456789", "2020-01-02T03:04:05.1234567+00:00"],
            np.array(["2020-01-02T03:04:05.123456789", "2020-01-02T03:04:05.1234567"], MOMENT),
        ),
        (
            "datetime",
            ["2024-05-01", "2024-05-01T12:00:00Z", "2024-05-01T12:00+02:00", None],
            np.array(["2024-05-01", "2024-05-01T12:00", "2024-05-01T10:00", "NaT"], MOMENT),
        ),
    ],
)
def test_each_column_type_takes_its_values(kind: str, values: list[Any], array: Any) -> None:
    converted = convert(values, COLUMN_ELEMENTS[kind], WHERE)

    assert converted.dtype == array.dtype
    np.testing.assert_array_equal(converted, array)


@pytest.mark.parametrize(
    ("kind", "value", "expected", "got"),
    [
        ("double", "secret", "a number (double)", "a string"),
        ("double", True, "a number (double)", "a boolean"),
        ("double", [1], "a number (double)", "an array"),
        ("double", {"secret": 1}, "a number (double)", "an object"),
        ("double", 10**400, "a number (double)", "one out of its range"),
        ("float", 1e39, "a number (float)", "one out of its range"),
        ("long", 1.5, "an integer (long)", "a number with a fraction"),
        ("long", 1e300, "an integer (long)", "a float larger than 2^53"),
        ("long", 2**63, "an integer (long)", "one out of its range"),
        ("long", None, "an integer (long)", "null"),
        ("integer", 2**31, "an integer (integer)", "one out of its range"),
        ("boolean", 1, "a boolean (boolean)", "an integer"),
        ("boolean", None, "a boolean (boolean)", "null"),
        ("string", 1, "a string (string)", "an integer"),
        ("binary", "secret!", "a base64 string (binary)", "another string"),
        ("binary", "花", "a base64 string (binary)", "another string"),
        ("datetime", "secret", "an ISO 8601 string (datetime)", "another string"),
        ("datetime", "1600-01-01", "an ISO 8601 string (datetime)", YEARS),
        ("datetime", "9999-01-01", "an ISO 8601 string (datetime)", YEARS),
        ("datetime", 5, "an ISO 8601 string (datetime)", "an integer"),
    ],
)
def test_any_other_value_is_refused_by_place_and_kind(
    kind: str, value: object, expected: str, got: str
) -> None:
    good = {"string": "x", "binary": "", "datetime": "2024-05-01", "boolean": True}.get(kind, 1)

    with pytest.raises(InputMismatch) as refusal:
        convert([good, good, value], COLUMN_ELEMENTS[kind], WHERE)

    assert refusal.value.message.startswith(f"Column 'a', row 2: expected {expected}")
    assert refusal.value.message.endswith(f", got {got}.")
    assert "secret" not in refusal.value.message


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("int8", -129, 128), ("uint8", -1, 256), ("uint64", -1, 2**64)]
)
def test_tensor_integers_are_held_to_their_range(dtype: str, low: int, high: int) -> None:
    element = tensor_element(dtype)

    inside = convert([low + 1, high - 1], element, WHERE)

    assert inside.tolist() == [low + 1, high - 1]
    for outside in (low, high):
        with pytest.raises(InputMismatch, match="out of its range"):
            convert([outside], element, WHERE)


def test_tensors_know_no_null() -> None:
    with pytest.raises(InputMismatch, match="got null"):
        convert([1.0, None], tensor_element("float64"), WHERE)


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ([1, 2], "long"),
        ([1, 2.5], "double"),
        ([1, None], "double"),
        ([None], "double"),
        ([True], "boolean"),
        (["x", None], "string"),
    ],
)
def test_without_a_signature_values_say_their_type(values: list[Any], label: str) -> None:
    assert infer_element(values, WHERE).label == label


@pytest.mark.parametrize("values", [[1, "x"], [True, 1]])
def test_without_a_signature_mixed_values_are_refused(values: list[Any]) -> None:
    with pytest.raises(InputMismatch, match="expected values of one kind"):
        infer_element(values, WHERE)
