"""CSV bodies: what cells become by the signature, or without one, and what is refused."""

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.csv_rows import MISSING, conform_csv
from gateway.protocols.plan import plan_for
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import Batch
from tracking.errors import InputMismatch, InvalidRequest, StagedoorError, TooLarge

DOUBLES = Signature((ColumnSpec("double", "a"), ColumnSpec("double", "b")))
LONG = Signature((ColumnSpec("long", "a"),))
FLAG = Signature((ColumnSpec("boolean", "a"),))
TEXT = Signature((ColumnSpec("string", "a"),))
MOMENT = Signature((ColumnSpec("datetime", "a"),))
MIXED = Signature((ColumnSpec("double", "a"), ColumnSpec("string", "b")))
OPTIONAL = Signature((ColumnSpec("double", "a"), ColumnSpec("double", "b", required=False)))
UNNAMED = Signature((ColumnSpec("double"), ColumnSpec("double")))
TABLE = Signature((TensorSpec("float64", (-1, 2)),))
SIGNATURES = [DOUBLES, LONG, FLAG, TEXT, MOMENT, MIXED, OPTIONAL, UNNAMED, TABLE, None]


def read(text: str, signature: Signature | None = DOUBLES) -> Batch:
    return conform_csv(text.encode(), plan_for(signature))


def values(text: str, signature: Signature | None) -> list[Any]:
    return [array.tolist() for array in read(text, signature).arrays]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2.5\n3,4\n",
        "a,b\r\n1,2.5\r\n3,4",
        "b,a\n2.5,1\n4,3\n",
        '"a","b"\n"1"," 2.5"\n+3,4e0\n',
        ",a,b\n0,1,2.5\n1,3,4\n",
        "\ufeffa,b\n\n1,2.5\n\n3,4\n",
    ],
)
@pytest.mark.parametrize("signature", [DOUBLES, OPTIONAL])
def test_every_way_to_write_the_same_rows_is_the_same_matrix(
    text: str, signature: Signature
) -> None:
    batch = read(text, signature)

    assert (batch.names, batch.is_matrix) == (("a", "b"), True)
    assert batch.arrays[0].tolist() == [[1, 2.5], [3, 4]]


@pytest.mark.parametrize("signature", [UNNAMED, TABLE])
def test_columns_go_by_position_where_the_model_knows_no_names(signature: Signature) -> None:
    assert values("x,y\n1,2\n3,4\n", signature) == [[[1, 2], [3, 4]]]


@pytest.mark.parametrize("cell", sorted(MISSING))
def test_what_pandas_takes_for_missing_is_missing(cell: str) -> None:
    [matrix] = read(f"a,b\n{cell},1\n").arrays
    columns = values(f"a,b\n1,{cell}\n", MIXED)

    assert np.isnan(matrix[0, 0])
    assert columns == [[1.0], [None]]


@pytest.mark.parametrize(
    ("text", "signature", "expected"),
    [
        (f"a\n{2**53 + 1}\n", LONG, [[[2**53 + 1]]]),
        (f"a\n{-(2**63)}\n", LONG, [[[-(2**63)]]]),
        ("a\n1.0\n", LONG, [[[1]]]),
        ("a\ntrue\nFALSE\n", FLAG, [[True, False]]),
        ('a\n"x, ""y""\nz"\n0012\n', TEXT, [['x, "y"\nz', "0012"]]),
        ("a,b\n1,x\n", MIXED, [[1.0], ["x"]]),
        ("a\n1\n", OPTIONAL, [[[1.0]]]),
        ("a,b\ninf,-Infinity\n", DOUBLES, [[[np.inf, -np.inf]]]),
    ],
)
def test_cells_are_what_the_signature_says(
    text: str, signature: Signature, expected: list[Any]
) -> None:
    assert values(text, signature) == expected


def test_a_moment_is_iso_8601() -> None:
    [array] = read("a\n2024-05-01T02:00:00+02:00\n", MOMENT).arrays

    assert array == np.array(["2024-05-01"], "datetime64[ns]")


@pytest.mark.parametrize(
    ("text", "is_matrix", "expected"),
    [
        ("a,b\n1,2\n", True, [[[1, 2]]]),
        ("a,b\n1,2.5\n,3\n", True, [[[1, 2.5], [np.nan, 3]]]),
        ("a,b\n1,x\n2,\n", False, [[1, 2], ["x", None]]),
        ("a,b\nTrue,1\nfalse,2\n", False, [[True, False], [1, 2]]),
    ],
)
def test_without_a_signature_a_column_is_what_all_its_cells_are(
    text: str, *, is_matrix: bool, expected: list[Any]
) -> None:
    batch = read(text, None)

    assert batch.is_matrix is is_matrix
    for array, values_of_it in zip(batch.arrays, expected, strict=True):
        np.testing.assert_array_equal(array, values_of_it)


@pytest.mark.parametrize(
    ("text", "signature", "sentence"),
    [
        ("", DOUBLES, "The body is empty"),
        ("\n\n", DOUBLES, "The body is empty"),
        ("a,b\n", DOUBLES, "no rows"),
        ("a,b\n1\n", DOUBLES, "Row 0: expected 2 cells as in the first line, got 1"),
        ("a,b\n1,2\n1,2,3\n", DOUBLES, "Row 1: expected 2 cells"),
        ("a,b\n1,secret\n", DOUBLES, "Column 'b', row 0: expected a number (double), got another"),
        ("a,b\n1,1_0\n", DOUBLES, "Column 'b', row 0"),
        ("a,b\n1,0x1\n", DOUBLES, "Column 'b', row 0"),
        ("a\n1\n", DOUBLES, "missing 'b'"),
        ("a,c\n1,3\n", DOUBLES, "missing 'b'; not expected 'c'"),
        ("a,a\n1,2\n", DOUBLES, "named twice"),
        ("a\n1.5\n", LONG, "a number with a fraction"),
        ("a\n9223372036854775808\n", LONG, "out of its range"),
        ("a\nNA\n", LONG, "Column 'a', row 0: expected an integer (long), got null"),
        ("a\n1\n", FLAG, "expected a boolean"),
        ("a\nyesterday\n", MOMENT, "expected an ISO 8601 string"),
        ("x,y,z\n1,2,3\n", UNNAMED, "expected 2 columns, got 3"),
        ("x\n1\n", TABLE, "Row 0: expected 2 values, got 1"),
        ('a,b\n1,"2\n', DOUBLES, "not CSV"),
        ("a,b\n1," + "2" * 200_000, DOUBLES, "not CSV"),
        ("a,b\n1,\x00\n", DOUBLES, "NUL"),
    ],
)
def test_what_does_not_fit_is_told_where_and_why(
    text: str, signature: Signature | None, sentence: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(text, signature)

    assert sentence in refusal.value.message
    assert "secret" not in refusal.value.message


def test_other_encodings_and_too_many_cells_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        conform_csv("a,b\n1,é\n".encode("latin-1"), plan_for(MIXED))
    with pytest.raises(TooLarge):
        conform_csv(b"a,b\n" + b"1,2\n" * 1_000_001, plan_for(DOUBLES))


@given(
    text=st.text(st.sampled_from('ab,"\n\r 10.eE-+\x00éNa'), max_size=40), has_head=st.booleans()
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str, *, has_head: bool) -> None:
    body = f"a,b\n{text}" if has_head else text
    for signature in SIGNATURES:
        with suppress(StagedoorError):
            read(body, signature)


@given(st.lists(st.floats(allow_nan=False), min_size=2, max_size=2))
@settings(max_examples=100, deadline=None)
def test_numbers_written_by_python_come_back_as_the_same_bits(row: list[float]) -> None:
    [matrix] = read(f"a,b\n{row[0]!r},{row[1]!r}\n").arrays

    assert matrix.tobytes() == np.array([row]).tobytes()


def test_a_column_that_is_not_the_model_s_is_left_out() -> None:
    [matrix] = read("c,b,a,\nx,2,1,y\n").arrays

    assert matrix.tolist() == [[1.0, 2.0]]


def test_a_name_is_not_guessed() -> None:
    with pytest.raises(InputMismatch, match="not expected"):
        read("A,b\n1,2\n")
