"""The tables of ``docs/types.md``: what each format carries of each type, and values to try.

A cell that begins with ``refused`` says that such values are answered with 400; a dash that the
format has no word for them.
"""

import base64
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from msgspec import Struct
from numpy.typing import NDArray

from gateway.protocols.csv_rows import MISSING
from registry.signature import ColumnSpec, Nested

FORMATS = ("JSON", "CSV", "Parquet, Arrow", "`.npy`", "v2 JSON", "v2 raw", "v2 gRPC")
DASH = "-"
REFUSED = "refused"

Values = st.SearchStrategy[list[Any]]


class Row(Struct, frozen=True, kw_only=True):
    """One row of the table.

    Args:
        title: Which values of which type of a signature.
        cells: For each of ``FORMATS``, what is sent.
        gets: What the model gets.
        spec: The column that the model has.
        values: Some of them, as Python and numpy have them; ``None`` is a missing one.
        dtype: What numpy holds them as, when the model gets them.
        datatype: What v2 calls them.
        arrow: Their type in Arrow.
        npy: Their type in ``.npy``.
        plain: Makes of a value what JSON says; CSV, and v2 for what is no number, say it as text.
        raw: Makes of a value the element of BYTES that raw tensors have.
        held: Makes of a value what the model gets.
    """

    title: str
    cells: tuple[str, ...]
    gets: str
    spec: ColumnSpec
    values: Values
    dtype: str
    datatype: str
    arrow: Any
    npy: str
    plain: Callable[[Any], Any] = lambda value: value
    raw: Callable[[Any], bytes] | None = None
    held: Callable[[Any], Any] = lambda value: value


def some(one: st.SearchStrategy[Any]) -> Values:
    return st.lists(one, min_size=1, max_size=4)


def with_gaps(one: st.SearchStrategy[Any]) -> Values:
    return some(one | st.none()).filter(lambda values: None in values)


def whole(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << bits), (1 << bits) - 1)


def beyond(bits: int) -> st.SearchStrategy[int]:
    return st.integers((1 << bits) + 1, (1 << 63) - 1) | st.integers(-(1 << 63), -(1 << bits) - 1)


def floats(width: Any = 64) -> st.SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False, width=width)


def iso(moment: Any) -> Any:
    """Write a moment in UTC, or, every other one, with an offset."""
    if moment is None:
        return None
    hours = int(moment.astype("int64") % 2) * 2
    ends = f"+0{hours}:00" if hours else "Z"
    return str(moment + np.timedelta64(hours, "h")) + ends


def coded(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def column(kind: str, nested: Nested | None = None) -> ColumnSpec:
    return ColumnSpec(kind, "c", nested=nested)


SAYABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
TEXTS = st.text(SAYABLE, min_size=1, max_size=8).filter(lambda text: text not in MISSING)
BLOBS = st.binary(min_size=1, max_size=8).filter(lambda value: value[-1] != 0)
MOMENTS = st.integers(-9 * 10**18, 9 * 10**18).map(lambda value: np.datetime64(value, "ns"))
DAYS = st.dates(date(1678, 1, 1), date(2261, 12, 31))
OBJECTS = st.builds(lambda x, n: {"x": x, "n": n}, floats(), st.none() | whole(53))
OBJECT = Nested("object", properties={"x": Nested("double"), "n": Nested("long", required=False)})

NUMBERS: dict[str, Any] = {
    "dtype": "float64",
    "datatype": "FP64",
    "arrow": pa.float64(),
    "npy": "<f8",
}
TEXT: dict[str, Any] = {
    "dtype": "object", "datatype": "BYTES", "arrow": pa.string(), "npy": "U", "raw": str.encode,
}  # fmt: skip
BINARY: dict[str, Any] = TEXT | {"arrow": pa.binary(), "npy": "S", "plain": coded, "raw": bytes}
MOMENT: dict[str, Any] = TEXT | {
    "dtype": "datetime64[ns]", "arrow": pa.timestamp("ns"), "npy": "<M8[ns]", "plain": iso,
    "raw": lambda value: iso(value).encode(),
}  # fmt: skip
DAY: dict[str, Any] = {
    "arrow": pa.date32(), "npy": "<M8[D]", "plain": str, "raw": lambda day: str(day).encode(),
}  # fmt: skip
NESTED: dict[str, Any] = TEXT | {"npy": "O", "raw": None}
IN_TEXT = ("their JSON", "lists, structs, maps", "refused", *["BYTES of their JSON"] * 3)

ROWS = [
    Row(
        title="boolean",
        cells=("`true`, `false`", "`true`, `True`, `TRUE`, ...", "bool", "`b1`", *["BOOL"] * 3),
        gets="bool", spec=column("boolean"), values=some(st.booleans()),
        dtype="bool", datatype="BOOL", arrow=pa.bool_(), npy="?",
    ),
    Row(
        title="integer",
        cells=(
            "a number without a fraction", "the same", "integers", "the same",
            *["INT32, or narrower"] * 3,
        ),
        gets="int32", spec=column("integer"), values=some(whole(31)),
        dtype="int32", datatype="INT32", arrow=pa.int32(), npy="<i4",
    ),
    Row(
        title="long, up to 2^53",
        cells=(
            "a number without a fraction", "the same", "integers", "the same",
            *["INT64, or narrower"] * 3,
        ),
        gets="int64", spec=column("long"), values=some(whole(53)),
        dtype="int64", datatype="INT64", arrow=pa.int64(), npy="<i8",
    ),
    Row(
        title="long, beyond 2^53",
        cells=("digits alone", "digits alone", "int64", "`i8`", "refused", "INT64", "INT64"),
        gets="int64, exact", spec=column("long"), values=some(beyond(53)),
        dtype="int64", datatype="INT64", arrow=pa.int64(), npy="<i8",
    ),
    Row(
        title="float",
        cells=(
            "a number, rounded", "the same", "float32, halffloat", "the same",
            *["FP32, or narrower"] * 3,
        ),
        gets="float32", spec=column("float"), values=some(floats(32)),
        dtype="float32", datatype="FP32", arrow=pa.float32(), npy="<f4",
    ),
    Row(
        title="float or double, from float16",
        cells=("a number", "a number", "halffloat", "`f2`", "FP16", "FP16", "FP16, raw alone"),
        gets="float32, float64", spec=column("float"), values=some(floats(16)),
        dtype="float32", datatype="FP16", arrow=pa.float16(), npy="<f2",
    ),
    Row(
        title="double",
        cells=("a number", "a number", "floats", "the same", *["FP64, or narrower"] * 3),
        gets="float64", spec=column("double"), values=some(floats()), **NUMBERS,
    ),
    Row(
        title="double, from whole numbers",
        cells=(
            "a number", "a number", "integers up to 2^53", "the same", *["integers up to 2^53"] * 3,
        ),
        gets="float64, exact", spec=column("double"), values=some(whole(53)),
        dtype="float64", datatype="INT64", arrow=pa.int64(), npy="<i8",
    ),
    Row(
        title="double, from integers beyond 2^53 that it would round",
        cells=("a number, rounded", "a number, rounded", *["refused"] * 5),
        gets="float64, the nearest", spec=column("double"),
        values=some(beyond(53).map(lambda value: value | 1)),
        dtype="float64", datatype="INT64", arrow=pa.int64(), npy="<i8", held=float,
    ),
    Row(
        title="double, infinity",
        cells=("refused: JSON has no word", "`inf`", "floats", "`f8`", "refused", "FP64", "FP64"),
        gets="float64", spec=column("double"),
        values=some(st.sampled_from([np.inf, -np.inf])), **NUMBERS,
    ),
    Row(
        title="float, double, missing",
        cells=("`null`", "an empty cell, `NA`, ...", "null, NaN", "NaN", "refused", "NaN", "NaN"),
        gets="NaN", spec=column("double"), values=with_gaps(floats()), **NUMBERS,
    ),
    Row(
        title="boolean, missing",
        cells=("refused", "refused", "refused", *[DASH] * 4),
        gets="", spec=column("boolean"), values=with_gaps(st.booleans()),
        dtype="bool", datatype="BOOL", arrow=pa.bool_(), npy="?",
    ),
    Row(
        title="integer, long, missing",
        cells=("refused", "refused", "refused", DASH, "refused", DASH, DASH),
        gets="", spec=column("long"), values=with_gaps(whole(53)),
        dtype="int64", datatype="INT64", arrow=pa.int64(), npy="<i8",
    ),
    Row(
        title="string",
        cells=("text", "text", "string", "`U`", "BYTES", "BYTES in UTF-8", "BYTES in UTF-8"),
        gets="str", spec=column("string"), values=some(TEXTS), **TEXT,
    ),
    Row(
        title="string, from categories",
        cells=("text", "text", "dictionary", "`U`", "BYTES", "BYTES in UTF-8", "BYTES in UTF-8"),
        gets="str", spec=column("string"), values=some(st.sampled_from(["low", "high"])),
        **TEXT | {"arrow": pa.dictionary(pa.int8(), pa.string())},
    ),
    Row(
        title="string, missing",
        cells=("`null`", "an empty cell, `NA`, ...", "null", DASH, "refused", DASH, DASH),
        gets="NaN, as pandas has it", spec=column("string"), values=with_gaps(TEXTS), **TEXT,
    ),
    Row(
        title="binary",
        cells=(
            "base64", "base64", "binary", "`S`, no zero bytes at the end", "BYTES of base64",
            "BYTES", "BYTES",
        ),
        gets="bytes", spec=column("binary"), values=some(BLOBS), **BINARY,
    ),
    Row(
        title="binary, missing",
        cells=("`null`", "an empty cell, `NA`, ...", "null", DASH, "refused", DASH, DASH),
        gets="NaN, as pandas has it", spec=column("binary"), values=with_gaps(BLOBS), **BINARY,
    ),
    Row(
        title="datetime",
        cells=(
            "ISO 8601 to the nanosecond", "the same", "timestamps of any zone", "`M8` of any unit",
            *["BYTES of ISO 8601"] * 3,
        ),
        gets="datetime64[ns] in UTC", spec=column("datetime"), values=some(MOMENTS),
        **MOMENT | {"arrow": pa.timestamp("ns", "Europe/Berlin")},
    ),
    Row(
        title="datetime, a day",
        cells=("`2024-05-01`", "the same", "date32, date64", "`M8[D]`", *["BYTES of it"] * 3),
        gets="datetime64[ns] in UTC", spec=column("datetime"), values=some(DAYS),
        **MOMENT | {
            **DAY,
            "held": lambda day: np.datetime64(day, "ns"),
        },
    ),
    Row(
        title="datetime, beyond the years 1678 to 2261",
        cells=("refused",) * 7,
        gets="", spec=column("datetime"),
        values=some(st.dates(date(2263, 1, 1)) | st.dates(max_value=date(1676, 12, 31))),
        **MOMENT | DAY,
    ),
    Row(
        title="datetime, missing",
        cells=(
            "`null`, `NaT`", "an empty cell, `NaT`, ...", "null", "NaT", *["BYTES of `NaT`"] * 3,
        ),
        gets="NaT", spec=column("datetime"), values=with_gaps(MOMENTS),
        **MOMENT | {
            "plain": lambda value: iso(value) or "NaT", "raw": lambda v: (iso(v) or "NaT").encode(),
        },
    ),
    Row(
        title="array",
        cells=("lists", *IN_TEXT),
        gets="list", spec=column("array", Nested("array", items=Nested("string"))),
        values=some(st.lists(TEXTS, max_size=3)), **NESTED | {"arrow": pa.list_(pa.string())},
    ),
    Row(
        title="array of numbers, some missing",
        cells=("lists", *IN_TEXT),
        gets="list with NaN", spec=column("array", Nested("array", items=Nested("double"))),
        values=some(with_gaps(floats())),
        **NESTED | {
            "arrow": pa.list_(pa.float64()),
            "held": lambda value: [np.nan if item is None else item for item in value],
        },
    ),
    Row(
        title="object",
        cells=("objects", *IN_TEXT),
        gets="dict", spec=column("object", OBJECT), values=some(OBJECTS),
        **NESTED | {"arrow": pa.struct({"x": pa.float64(), "n": pa.int64()})},
    ),
    Row(
        title="map",
        cells=("objects", *IN_TEXT),
        gets="dict", spec=column("map", Nested("map", values=Nested("long"))),
        values=some(st.dictionaries(TEXTS, whole(53), max_size=3)),
        **NESTED | {"arrow": pa.map_(pa.string(), pa.int64())},
    ),
    Row(
        title="any",
        cells=(
            "anything", "its JSON", "what JSON could say", "refused", *["BYTES of its JSON"] * 3,
        ),
        gets="what it says", spec=column("any"),
        values=st.sampled_from([["a text", "2"], [[1, 2], []], [{"x": [True]}], [1.5, -2.0]]),
        **NESTED | {"arrow": None},
    ),
]  # fmt: skip

BITS = ("8", "16", "32", "64")
ALL = tuple(f"{kind}{bits}" for kind in ("INT", "UINT") for bits in BITS)
FITS: dict[str, tuple[str, ...]] = {
    "boolean": ("BOOL",),
    "integer": ("INT8", "INT16", "INT32", "UINT8", "UINT16"),
    "long": ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32"),
    "float": ("FP16", "FP32", *ALL),
    "double": ("FP16", "FP32", "FP64", *ALL),
}
"""By the type of a column, the datatypes that fit; floats hold integers that they do not round."""


class Told(Struct, frozen=True):
    """A row of the table of answers: what a model gave, and what JSON and v2 have for it.

    Args:
        title: What it gave.
        json: What is said in MLflow's answers, v1 and generate.
        v2_json: What is said in v2's JSON; ``refused`` is 400.
        raw: What is said in raw tensors, over REST and gRPC, and in gRPC's typed contents.
        array: An example.
        plain: The same as JSON.
    """

    title: str
    json: str
    v2_json: str
    raw: str
    array: NDArray[Any]
    plain: list[Any]


TOLD = [
    Told("booleans", "`true`, `false`", "BOOL", "BOOL", np.array([True, False]), [True, False]),
    Told(
        "integers of any width", "all digits", "INT..., all digits", "INT..., UINT...",
        np.array([2**63 + 1, 0], np.uint64), [2**63 + 1, 0],
    ),
    Told("float16", "its digits", "FP16", "FP16, raw alone", np.array([1.5], np.float16), [1.5]),
    Told(
        "float32, float64", "digits that are it again", "FP32, FP64", "FP32, FP64",
        np.array([0.1, -1e300]), [0.1, -1e300],
    ),
    Told(
        "NaN, infinity", "`null`", "refused, or `null` with `nan_as_null`", "NaN, infinity",
        np.array([1.5, np.nan]), [1.5, None],
    ),
    Told("text", "text", "BYTES", "BYTES in UTF-8", np.array(["é", "x"]), ["é", "x"]),
    Told(
        "text, missing", "`null`", "`null`", "an empty element, and `missing`",
        np.array(["x", None], object), ["x", None],
    ),
    Told("bytes", "base64", "BYTES of base64", "BYTES", np.array([b"\xff"], object), ["/w=="]),
    Told(
        "moments", "ISO 8601", "BYTES of ISO 8601", "BYTES of ISO 8601",
        np.array(["2024-05-01T12:00", "NaT"], "M8[m]"), ["2024-05-01T12:00", None],
    ),
    Told(
        "lists, objects, several kinds", "as they are", "refused", "refused",
        np.array([{"a": [1]}, 1], object), [{"a": [1]}, 1],
    ),
]  # fmt: skip


def table() -> str:
    """Return the first table as ``docs/types.md`` has it."""
    heads = ("type", *FORMATS, "the model gets")
    return _written([heads, *((row.title, *row.cells, row.gets or DASH) for row in ROWS)])


def datatypes() -> str:
    """Return the second."""
    return _written([("column", "datatypes"), *((k, ", ".join(v)) for k, v in FITS.items())])


def answers() -> str:
    """Return the table of answers."""
    heads = ("the model gives", "JSON, v1, generate", "v2 JSON", "v2 raw, gRPC")
    return _written([heads, *((told.title, told.json, told.v2_json, told.raw) for told in TOLD)])


def _written(lines: list[tuple[str, ...]]) -> str:
    lines.insert(1, ("---",) * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
