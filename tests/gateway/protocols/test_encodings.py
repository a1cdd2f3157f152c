"""One table in every encoding that there is: each says the same bits. And what they refuse."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gateway.protocols import mlflow_scoring, v1_rest, v2_binary, v2_rest
from gateway.protocols.media import ARROW_FILE, ARROW_STREAM, NPY, PARQUET
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import Batch
from tests.gateway.protocols.arrow_bodies import arrow_body
from tracking.errors import InputMismatch, InvalidRequest, MalformedBody, StagedoorError, TooLarge

JSON = "application/json"
NAMES = ["a", "b", "c"]
TABLES = {
    "named": Signature(tuple(ColumnSpec("double", name) for name in NAMES)),
    "unnamed": Signature(tuple(ColumnSpec("double") for _ in NAMES)),
    "tensor": Signature((TensorSpec("float64", (-1, 3)),)),
}
MIXED = Signature(
    (
        ColumnSpec("double", "a"),
        ColumnSpec("string", "b"),
        ColumnSpec("datetime", "c"),
        ColumnSpec("binary", "d"),
        ColumnSpec("long", "e"),
        ColumnSpec("boolean", "f"),
    )
)


def scoring(body: Any, signature: Signature | None) -> Batch:
    return mlflow_scoring.decode(json.dumps(body).encode(), JSON, signature).batch


def npy(array: NDArray[Any], *, is_fortran: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(array) if is_fortran else array)
    return stream.getvalue()


def table_of(rows: NDArray[Any]) -> pa.Table:
    return pa.table({name: rows[:, index] for index, name in enumerate(NAMES)})


def v2(rows: NDArray[Any], signature: Signature | None, *, is_raw: bool) -> Batch:
    tensor: dict[str, Any] = {"name": "input", "datatype": "FP64", "shape": list(rows.shape)}
    if not is_raw:
        body = json.dumps({"inputs": [tensor | {"data": rows.ravel().tolist()}]}).encode()
        return v2_rest.decode(body, JSON, signature).batch
    tensor["parameters"] = {"binary_data_size": rows.nbytes}
    head = json.dumps({"inputs": [tensor]}).encode()
    return v2_binary.decode(head + rows.tobytes(), None, str(len(head)), signature).batch


def v1(body: Any, signature: Signature | None) -> Batch:
    return v1_rest.decode(json.dumps(body).encode(), JSON, signature).batch


def written(rows: NDArray[Any], media_type: str, signature: Signature | None) -> Batch:
    body = npy(rows) if media_type == NPY else arrow_body(table_of(rows), media_type)
    return mlflow_scoring.decode(body, media_type, signature).batch


def csv(rows: NDArray[Any], signature: Signature | None) -> Batch:
    lines = [",".join(NAMES), *(",".join(map(repr, row)) for row in rows.tolist())]
    return mlflow_scoring.decode("\n".join(lines).encode(), "text/csv", signature).batch


def columns(rows: NDArray[Any]) -> dict[str, Any]:
    return {name: rows[:, index].tolist() for index, name in enumerate(NAMES)}


ENCODINGS: dict[str, Callable[[NDArray[Any], Signature | None], Batch]] = {
    "inputs": lambda rows, s: scoring({"inputs": rows.tolist()}, s),
    "split": lambda rows, s: scoring(
        {"dataframe_split": {"columns": NAMES, "data": rows.tolist()}}, s
    ),
    "records": lambda rows, s: scoring(
        {"dataframe_records": [dict(zip(NAMES, row, strict=True)) for row in rows.tolist()]}, s
    ),
    "csv": csv,
    "parquet": lambda rows, s: written(rows, PARQUET, s),
    "arrow stream": lambda rows, s: written(rows, ARROW_STREAM, s),
    "arrow file": lambda rows, s: written(rows, ARROW_FILE, s),
    "npy": lambda rows, s: written(rows, NPY, s),
    "v1": lambda rows, s: v1({"instances": rows.tolist()}, s),
    "v2": lambda rows, s: v2(rows, s, is_raw=False),
    "v2 raw": lambda rows, s: v2(rows, s, is_raw=True),
}
NAMED_ONLY = {"split", "records"}


@pytest.mark.parametrize("media_type", [PARQUET, ARROW_STREAM, ARROW_FILE])
def test_a_table_may_hold_columns_that_the_model_does_not_know(media_type: str) -> None:
    rows = np.array([[1.0, 2.0, 3.0]])
    odd = {"id": ["x"], "gap": [[None]], "took": pa.array([1], pa.duration("s"))}
    more = pa.table({**odd, **{name: table_of(rows)[name] for name in reversed(NAMES)}})

    batch = mlflow_scoring.decode(arrow_body(more, media_type), media_type, TABLES["named"]).batch

    assert (batch.names, batch.arrays[0].tolist()) == (tuple(NAMES), rows.tolist())


@pytest.mark.parametrize("kind", TABLES)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.just(3)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
@settings(max_examples=40, deadline=None)
def test_the_same_table_is_the_same_bits_in_every_encoding(
    kind: str, rows: NDArray[np.float64]
) -> None:
    names = tuple(NAMES) if kind == "named" else ()
    expected = (names, rows.shape, "float64", rows.tobytes())

    for encoding, decode in ENCODINGS.items():
        if kind != "named" and encoding in NAMED_ONLY:
            continue
        batch = decode(rows, TABLES[kind])
        [matrix] = batch.arrays
        found = (batch.names, matrix.shape, matrix.dtype.name, matrix.tobytes())
        assert found == expected, encoding


@pytest.mark.parametrize("media_type", [PARQUET, ARROW_STREAM, ARROW_FILE])
def test_columns_of_every_kind_arrive(media_type: str) -> None:
    moments = pa.array([0, None, 10**9], pa.timestamp("us"))
    table = pa.table(
        {
            "a": pa.array([1, None, 3], pa.int32()),
            "b": pa.array(["x", None, "x"]).dictionary_encode(),
            "c": moments,
            "d": pa.array([b"\xff", None, b""]),
            "e": pa.array([2**53 + 1, -(2**63), 0]),
            "f": pa.array([True, False, True]),
            "__index_level_0__": pa.array([7, 8, 9]),
        }
    )

    batch = mlflow_scoring.decode(arrow_body(table, media_type), media_type, MIXED).batch

    a, b, c, d, e, f = batch.arrays
    np.testing.assert_array_equal(a, [1.0, np.nan, 3.0])
    assert (b.tolist(), d.tolist()) == (["x", None, "x"], [b"\xff", None, b""])
    assert (e.tolist(), f.tolist()) == ([2**53 + 1, -(2**63), 0], [True, False, True])
    assert c.astype(str).tolist() == [
        "1970-01-01T00:00:00.000000000",
        "NaT",
        "1970-01-01T00:16:40.000000000",
    ]


def test_a_column_of_nothing_is_one_of_missing_values() -> None:
    columns = ("double", "a", True), ("string", "b", True), ("long", "c", False)
    signature = Signature(tuple(ColumnSpec(*column) for column in columns))
    table = pa.table({name: pa.nulls(2) for name in "abc"})

    batch = mlflow_scoring.decode(arrow_body(table, PARQUET), PARQUET, signature).batch

    assert batch.names == ("a", "b")
    np.testing.assert_array_equal(batch.arrays[0], [np.nan, np.nan])
    assert batch.arrays[1].tolist() == [None, None]


@pytest.mark.parametrize("kind", ["float", "datetime", "binary"])
@pytest.mark.parametrize("is_named", [True, False])
def test_nothing_at_all_is_missing_in_the_type_of_the_column(kind: str, *, is_named: bool) -> None:
    signature = Signature((ColumnSpec(kind, "a" if is_named else None),))

    batch = mlflow_scoring.decode(
        arrow_body(pa.table({"a": pa.nulls(1)}), PARQUET), PARQUET, signature
    ).batch

    dtype = {"float": "float32", "datetime": "datetime64[ns]", "binary": "object"}[kind]
    assert (batch.arrays[0].dtype.name, str(batch.arrays[0].item())) == (
        dtype,
        {"float": "nan", "datetime": "None", "binary": "None"}[kind],
    )


def test_whole_numbers_fill_a_column_of_floats_where_none_changes() -> None:
    signature = Signature((ColumnSpec("float", "a"), ColumnSpec("float", "b")))
    table = pa.table({"a": [1, None], "b": [2**24, -(2**24)]})

    [matrix] = mlflow_scoring.decode(arrow_body(table, PARQUET), PARQUET, signature).batch.arrays

    assert (matrix.dtype.name, str(matrix.tolist())) == (
        "float32",
        "[[1.0, 16777216.0], [nan, -16777216.0]]",
    )


def test_without_a_signature_columns_are_taken_as_they_are() -> None:
    numbers = written(np.ones((2, 3)), ARROW_STREAM, None)
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})

    mixed = mlflow_scoring.decode(arrow_body(table, PARQUET), PARQUET, None).batch

    assert (numbers.names, numbers.is_matrix) == (("a", "b", "c"), True)
    assert (mixed.names, mixed.is_matrix) == (("a", "b"), False)


@pytest.mark.parametrize(
    ("table", "signature", "sentence"),
    [
        (pa.table({"a": pa.array([], pa.float64())}), None, "no rows"),
        (pa.table({"a": [1.0]}), TABLES["named"], "missing 'b', 'c'"),
        (pa.table({"a": [1.0]}), TABLES["unnamed"], "expected 3 columns, got 1"),
        (pa.table({"a": ["x"]}), TABLES["tensor"], "expected shape [-1, 3], got shape [1]"),
        (pa.table({"a": pa.array([1], pa.time32("s"))}), None, "a type that no request can carry"),
        (pa.table({"a": [2**53 + 1]}), Signature((ColumnSpec("double", "a"),)), "expected FP64"),
        (pa.table({"a": [2**53 + 1, None]}), Signature((ColumnSpec("double", "a"),)), "exactly"),
        (pa.table({"a": pa.array([1 << 40], pa.timestamp("s"))}), None, "the years 1678 to 2261"),
        (pa.table({"a": [None, True]}), None, "has a missing value"),
        (pa.table({"a": [1, None]}), Signature((ColumnSpec("long", "a"),)), "a missing value"),
        (pa.table({"a": [1.5]}), Signature((ColumnSpec("long", "a"),)), "expected INT64"),
    ],
)
def test_tables_that_do_not_fit_are_refused(
    table: pa.Table, signature: Signature | None, sentence: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        mlflow_scoring.decode(arrow_body(table, ARROW_STREAM), ARROW_STREAM, signature)

    assert sentence in refusal.value.message


@pytest.mark.parametrize("media_type", [PARQUET, ARROW_STREAM, ARROW_FILE])
def test_a_small_body_that_unpacks_to_too_much_is_refused(media_type: str) -> None:
    zeros = pa.table({"a": np.zeros(3_000_000, np.int8)})
    options = (
        {"compression": "zstd"}
        if media_type == PARQUET
        else {"options": pa.ipc.IpcWriteOptions(compression="zstd")}
    )
    stream = io.BytesIO()
    if media_type == PARQUET:
        pq.write_table(zeros, stream, **options)
    else:
        make = pa.ipc.new_stream if media_type == ARROW_STREAM else pa.ipc.new_file
        with make(stream, zeros.schema, **options) as writer:
            writer.write_table(zeros)

    with pytest.raises(TooLarge):
        mlflow_scoring.decode(stream.getvalue(), media_type, None)


LONG = pa.array(["x" * (1 << 20)])
OFTEN = pa.DictionaryArray.from_arrays(pa.array(np.zeros(300, np.int32)), LONG)


@pytest.mark.parametrize("media_type", [PARQUET, ARROW_STREAM])
@pytest.mark.parametrize(
    "column",
    [
        OFTEN,
        pa.ListArray.from_arrays([0, 300], OFTEN),
        pa.MapArray.from_arrays([0, 300], OFTEN, pa.array(np.zeros(300, np.int8))),
        pa.ListArray.from_arrays([0, 3_000_000], pa.array(np.zeros(3_000_000, np.int8))),
        pa.ListArray.from_arrays([0, 3_000_000], pa.nulls(3_000_000)),
    ],
    ids=["text", "list of text", "map of text", "list of zeros", "list of nothing"],
)
def test_what_stands_once_and_is_meant_often_is_counted_before_it_is_made(
    column: Any, media_type: str
) -> None:
    options = {"store_schema": False} if media_type == PARQUET else {}
    body = arrow_body(pa.table({"a": column}), media_type, **options)

    with pytest.raises(TooLarge):
        mlflow_scoring.decode(body, media_type, Signature((ColumnSpec("any", "a"),)))


def test_views_of_text_are_text_and_counted_as_it() -> None:
    signature = Signature((ColumnSpec("string", "a"), ColumnSpec("any", "b")))
    views = pa.array(["a text of more than twelve bytes", None], pa.string_view())
    table = pa.table({"a": views, "b": pa.array([["x"], []], pa.list_(pa.string_view()))})
    _, view, data = LONG.cast(pa.string_view()).buffers()
    often = pa.Array.from_buffers(views.type, 300, [None, pa.py_buffer(bytes(view) * 300), data])

    a, b = mlflow_scoring.decode(
        arrow_body(table, ARROW_STREAM), ARROW_STREAM, signature
    ).batch.arrays

    assert (a.tolist(), b.tolist()) == ([views[0].as_py(), None], [["x"], []])
    with pytest.raises(TooLarge):
        mlflow_scoring.decode(arrow_body(pa.table({"a": often}), ARROW_FILE), ARROW_FILE, None)


def test_decimals_are_floats_and_lists_are_rows_of_a_tensor() -> None:
    decimals = pa.table({"a": pa.array([Decimal("1.50"), None])})
    rows = pa.table({"any name": pa.array([[1.5, 2], [3, 4]], pa.list_(pa.float32()))})
    tensor = Signature((TensorSpec("float64", (-1, 2)),))
    floats = Signature((ColumnSpec("float", "a"),))

    bodies = [(decimals, floats), (rows, tensor)]
    batches = [
        mlflow_scoring.decode(arrow_body(table, PARQUET), PARQUET, signature).batch
        for table, signature in bodies
    ]

    assert [str(batch.arrays[0].tolist()) for batch in batches] == [
        "[[1.5], [nan]]",
        "[[1.5, 2.0], [3.0, 4.0]]",
    ]


@pytest.mark.parametrize("media_type", [PARQUET, ARROW_STREAM, ARROW_FILE, NPY])
@given(st.binary(max_size=60), st.integers(0, 900), st.integers(0, 40))
@settings(max_examples=120, deadline=None)
def test_broken_bytes_are_refused(media_type: str, noise: bytes, at: int, cut: int) -> None:
    rows = np.ones((2, 3))
    table = table_of(rows).append_column("l", [[["x"], None]]).append_column("d", [["y", "y"]])
    whole = npy(rows) if media_type == NPY else arrow_body(table, media_type)

    for tried in (noise, whole[:at], whole[:at] + noise + whole[at + cut :]):
        for signature in (None, TABLES["named"], MIXED):
            with suppress(StagedoorError):
                mlflow_scoring.decode(tried, media_type, signature)


@pytest.mark.parametrize("media_type", [ARROW_STREAM, ARROW_FILE])
def test_lists_that_lead_out_of_the_body_are_refused_before_they_are_followed(
    media_type: str,
) -> None:
    """Asking such a table for its size ends the process."""
    lengths = np.array([77, 154], "<i4").tobytes()
    body = arrow_body(pa.table({"a": [["x"] * 77, ["y"] * 77]}), media_type)
    wrong = body.replace(lengths, np.array([77, 2**31 - 1], "<i4").tobytes())

    with pytest.raises(MalformedBody):
        mlflow_scoring.decode(wrong, media_type, None)


def test_a_worker_reads_tables_without_pandas(tmp_path: Path) -> None:
    """It would hold up all other requests while it is imported."""
    nested = pa.array([[1], None], pa.list_(pa.timestamp("ns", "Europe/Berlin")))
    table = pa.table(
        {
            "double": [1.5, None], "long": [1, 2], "string": ["x", None], "boolean": [True, False],
            "datetime": pa.array([1, None], pa.timestamp("us")), "any": nested,
        }
    )  # fmt: skip
    (tmp_path / "body").write_bytes(arrow_body(table, PARQUET))
    script = (
        "import sys; from pathlib import Path\n"
        "from gateway.protocols.mlflow_scoring import decode\n"
        "from registry.signature import ColumnSpec, Signature\n"
        f"signature = Signature(tuple(ColumnSpec(n, n) for n in {table.column_names}))\n"
        f"decode(Path({str(tmp_path / 'body')!r}).read_bytes(), {PARQUET!r}, signature)\n"
        "print('pandas' in sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert done.stdout == b"False\n"


def test_without_pyarrow_a_table_is_refused_with_the_name_of_the_extra() -> None:
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from gateway.protocols.mlflow_scoring import decode\n"
        "from tracking.errors import UnsupportedMedia\n"
        "try: decode(b'x', 'application/vnd.apache.parquet', None)\n"
        "except UnsupportedMedia as error: print(error.message)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert b"install stagedoor[arrow]" in done.stdout


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.asfortranarray([[1.0, 2, 3], [4, 5, 6]]), [[1, 2, 3], [4, 5, 6]]),
        (np.array([[1, 2, 3]], ">i4"), [[1, 2, 3]]),
        (np.array(["x", "é"]), ["x", "é"]),
        (np.array([b"x"]), [b"x"]),
        (np.array([True]), [True]),
    ],
)
def test_arrays_of_any_order_and_kind_are_read(array: NDArray[Any], expected: list[Any]) -> None:
    [found] = mlflow_scoring.decode(npy(array), NPY, None).batch.arrays

    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("body", "kind", "sentence"),
    [
        (npy(np.ones(3))[:-1], MalformedBody, "not as long as"),
        (npy(np.ones(3)) + b"x", MalformedBody, "not as long as"),
        (npy(np.array([1j])), InvalidRequest, "neither numbers nor text"),
        (npy(np.array(["9999-01-01"], "M8[D]")), InvalidRequest, "the years 1678 to 2261"),
        (npy(np.zeros(1, "i4,f4")), InvalidRequest, "neither numbers nor text"),
        (npy(np.array([{}], object)), InvalidRequest, "neither numbers nor text"),
        (npy(np.array(1.0)), InvalidRequest, "1 to 8 axes"),
        (npy(np.zeros((0, 3))), InputMismatch, "no rows"),
        (b"\x93NUMPY\x09\x00", MalformedBody, "no .npy file"),
    ],
)
def test_arrays_that_no_request_can_carry_are_refused(
    body: bytes, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind) as refusal:
        mlflow_scoring.decode(body, NPY, None)

    assert sentence in str(refusal.value)
