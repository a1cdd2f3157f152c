"""``docs/types.md``, walked: each format carries each type exactly, or refuses it with 400."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from gateway.errors import status_of
from gateway.protocols import mlflow_scoring
from gateway.protocols.call import ProtocolName
from gateway.protocols.datatypes import BYTES, ELEMENTS
from gateway.protocols.elements import column_element
from gateway.protocols.media import ARROW_STREAM, NPY
from gateway.protocols.wires import decode, encode
from registry.route import VersionKey
from registry.signature import ColumnSpec, Signature
from registry.tensors import Batch, InferRequest, Prediction
from tests.gateway.protocols.arrow_bodies import arrow_body
from tests.gateway.protocols.type_bodies import WRITERS, Body
from tests.gateway.protocols.type_rows import (
    DASH,
    FITS,
    FORMATS,
    REFUSED,
    ROWS,
    TOLD,
    Row,
    Told,
    answers,
    datatypes,
    table,
)
from tracking.errors import InputMismatch, InvalidRequest, StagedoorError

KEY = VersionKey("oak", 1, "digest")
ASKED = InferRequest(Batch((), (np.zeros((1, 1)),), is_matrix=True))
PAGE = Path(__file__).parents[3] / "docs/types.md"


def outcome(row: Row, body: Body) -> tuple[str, str]:
    """Return what the model gets, type and values, or the status of the refusal."""
    try:
        batch = decode(body.protocol, body.content, body.head, Signature((row.spec,))).batch
    except StagedoorError as error:
        return REFUSED, str(status_of(error.code))
    [array] = batch.arrays
    return array.dtype.name, repr(array.reshape(-1).tolist())


def wanted(row: Row, values: list[Any], cell: str) -> tuple[str, str]:
    if cell.startswith(REFUSED):
        return REFUSED, "400"
    none = {"float64": np.nan, "datetime64[ns]": np.datetime64("NaT", "ns")}.get(row.dtype)
    held = [none if value is None else row.held(value) for value in values]
    if row.dtype == "object":
        return row.dtype, repr(held)
    return row.dtype, repr(np.array(held, row.dtype).tolist())


def walk(row: Row, form: str, cell: str, values: list[Any]) -> None:
    for body in WRITERS[form](row, values):
        said = values[body.rows]
        if None in values and None not in said:
            continue  # a row of its own that lacks nothing
        place = (form, body.name)
        assert (*place, *outcome(row, body)) == (*place, *wanted(row, said, cell))


@pytest.mark.parametrize("row", [pytest.param(row, id=row.title) for row in ROWS])
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_each_row_of_the_table_is_true(row: Row, data: st.DataObject) -> None:
    """The same values in each format; what carries them gives a model the same."""
    values = data.draw(row.values)

    for form, cell in zip(FORMATS, row.cells, strict=True):
        if cell != DASH:
            walk(row, form, cell, values)


@pytest.mark.parametrize("told", [pytest.param(told, id=told.title) for told in TOLD])
def test_each_answer_is_what_the_page_says(told: Told) -> None:
    prediction = Prediction(("o",), (told.array,))

    assert json.loads(encode(ProtocolName.MLFLOW, prediction, ASKED, KEY).body) == {
        "predictions": told.plain
    }
    assert (
        json.loads(encode(ProtocolName.V1, prediction, ASKED, KEY).body)["predictions"]
        == told.plain
    )
    assert (
        json.loads(encode(ProtocolName.GENERATE, prediction, ASKED, KEY).body)["o"] == told.plain[0]
    )
    v2 = said(ProtocolName.V2, prediction, ASKED)
    assert v2 == (f"{REFUSED} 400" if told.v2_json.startswith(REFUSED) else told.plain)
    for request in (ASKED, replace(ASKED, is_raw=True)):
        grpc = said(ProtocolName.V2_GRPC, prediction, request)
        assert (grpc == f"{REFUSED} 400") is (told.raw == REFUSED)


def said(protocol: ProtocolName, prediction: Prediction, request: InferRequest) -> Any:
    """Return what stands for the only output in v2, or that it is refused."""
    try:
        body = encode(protocol, prediction, request, KEY).body
    except StagedoorError as error:
        return f"{REFUSED} {status_of(error.code)}"
    return body if protocol is ProtocolName.V2_GRPC else json.loads(body)["outputs"][0]["data"]


@pytest.mark.parametrize("kind", FITS)
def test_each_datatype_fits_the_columns_that_the_page_says(kind: str) -> None:
    fits = {
        label
        for label, element in ELEMENTS.items()
        if label != BYTES and arrives(kind, label, np.ones(2, element.dtype))
    }

    assert fits == set(FITS[kind])


def arrives(kind: str, label: str, ones: NDArray[Any]) -> bool:
    """Say whether two ones arrive in each format that has types; all must agree."""
    spec = ColumnSpec(kind, "c")
    row = Row(
        title=label, cells=("",) * len(FORMATS), gets="", spec=spec, values=st.nothing(),
        dtype=column_element(spec).dtype.name, datatype=label, npy=ones.dtype.str,
        arrow=pa.from_numpy_dtype(ones.dtype),
    )  # fmt: skip
    found = {
        outcome(row, body)
        for form in ("Parquet, Arrow", "`.npy`", "v2 JSON", "v2 raw", "v2 gRPC")
        for body in WRITERS[form](row, ones.tolist())
        if label != "FP16" or form != "v2 gRPC" or body.name == "raw"
    }
    assert found in ({(REFUSED, "400")}, {(row.dtype, repr(ones.astype(row.dtype).tolist()))})
    return (REFUSED, "400") not in found


@pytest.mark.parametrize(
    ("kind", "array"),
    [
        ("string", np.array([b"x"])),
        ("long", np.array(["1"])),
        ("datetime", np.array([1])),
        ("binary", np.array(["no base64"])),
        ("double", np.array([1], np.longdouble)),
        ("double", np.array([1], "m8[s]")),
    ],
)
def test_arrays_of_another_type_are_refused(kind: str, array: NDArray[Any]) -> None:
    stream = io.BytesIO()
    np.save(stream, array)

    with pytest.raises(InvalidRequest):
        mlflow_scoring.decode(stream.getvalue(), NPY, Signature((ColumnSpec(kind, "c"),)))


def test_bytes_are_no_text_in_arrow_either() -> None:
    body = arrow_body(pa.table({"c": pa.array([b"x"])}), ARROW_STREAM)

    with pytest.raises(InputMismatch, match=r"expected a string \(string\), got bytes"):
        mlflow_scoring.decode(body, ARROW_STREAM, Signature((ColumnSpec("string", "c"),)))


def test_a_wrong_cell_is_seen() -> None:
    """The checker itself: of each kind of claim one that is false."""
    rows = {row.title: row for row in ROWS}

    wrong: list[tuple[str, str, str, list[Any]]] = [
        ("long, beyond 2^53", "v2 JSON", "INT64", [2**53 + 1]),
        ("string, missing", "CSV", "refused", [None]),
        ("double, from integers beyond 2^53 that it would round", "v2 raw", "exact", [2**53 + 1]),
        ("array", "`.npy`", "lists", [["x"]]),
    ]
    for title, form, cell, values in wrong:
        with pytest.raises(AssertionError):
            walk(rows[title], form, cell, values)
    with pytest.raises(AssertionError):
        walk(replace(rows["boolean"], dtype="int64"), "JSON", "true", [True])


def test_the_page_has_these_tables() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert table() in page
    assert datatypes() in page
    assert answers() in page
