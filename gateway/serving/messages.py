"""What a worker and its runner say to each other, and arrays as bytes. Pure.

Plain data in both directions: numbers travel as their raw bytes, text and mixed cells as a
msgpack list; never pickle. Everything received is checked before it is believed.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.serving.batching import Merging
from gateway.serving.frames import Frame, FrameError, pack
from gateway.serving.row_form import RowForm
from registry.signature import COLUMN_TYPES, ColumnSpec, Signature, TensorSpec
from registry.tensors import METHODS

_RAW_DTYPE = re.compile(r"\|b1|\|[iu]1|<[iu][248]|<f[248]|<M8\[(ns|us|ms|s|m|h|D)\]")
_TENSOR_DTYPE = re.compile(r"[a-z0-9\[\]]{1,32}")
_OBJECT_DTYPE = "|O"
_MAX_DIMENSIONS = 8
_MAX_REASON = 400
_CELL_TYPES = frozenset({str, bytes, bool, int, float, type(None)})


class Order(Struct, frozen=True):
    """What the worker starts this process with, as JSON on the command line.

    Args:
        channel: Descriptor of the socket.
        lifeline: Descriptor of the pipe that ends with the worker.
        folder: The model's.
        warm_calls: How often the input example is answered before READY.
        max_frame_bytes: The largest body of a call.
        max_answer_bytes: The largest body of an answer.
        memory_bytes: What it may have for data; 0 for as much as there is.
        engine_folder: Where an engine made of the model goes; none when none is wanted.
        onnx_tolerance: Within which that may answer; 0 for exactly.
        merge: What the operator says of merging its requests, if anything.
    """

    channel: int
    lifeline: int
    folder: str
    warm_calls: int
    max_frame_bytes: int
    max_answer_bytes: int
    memory_bytes: int = 0
    engine_folder: str | None = None
    onnx_tolerance: float = 0.0
    merge: bool | None = None


class ArrayHead(Struct, frozen=True, array_like=True):
    """One array of a body.

    Args:
        dtype: Its numpy type string; ``|O`` is a msgpack list of plain cells.
        shape: First axis rows.
        size_bytes: How much of the body is its.
    """

    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


class Predict(Struct, frozen=True, tag="predict"):
    """The worker asks for the answer to some rows."""

    call: int
    names: tuple[str, ...]
    heads: tuple[ArrayHead, ...]
    is_matrix: bool
    params: dict[str, Any]


class Talk(Struct, frozen=True, tag="talk"):
    """The worker asks for an answer in pieces.

    Args:
        call: Which call.
        names: Of the columns, as in ``Predict``.
        heads: Of the arrays; none where a document is asked about.
        is_matrix: Which layout it is.
        params: What is asked besides.
        credit: How many pieces may be sent before the worker says more.
        is_stream: Whether pieces are wanted, or all at once.
        document: What is asked about in place of rows.
    """

    call: int
    names: tuple[str, ...]
    heads: tuple[ArrayHead, ...]
    is_matrix: bool
    params: dict[str, Any]
    credit: int
    is_stream: bool
    document: dict[str, Any] | None = None


class Credit(Struct, frozen=True, tag="credit"):
    """The worker has taken some pieces: as many more may be sent."""

    call: int
    pieces: int


class Stop(Struct, frozen=True, tag="stop"):
    """The worker wants no more pieces."""

    call: int


class Phase(Struct, frozen=True, tag="phase"):
    """The runner has come to another state of the load."""

    state: str


class Converting(Struct, frozen=True, tag="converting"):
    """The runner has proved the model and begins to make an engine of it."""


class Ready(Struct, frozen=True, tag="ready"):
    """The runner has loaded and proved the model.

    Args:
        signature: The model's, or none.
        flavor: How it was loaded.
        warm_calls: How often its input example was answered; 0 without an example.
        engine_why: Why no engine was made, where one was wanted; empty when it was made.
        can_talk: Whether it gives its answers in pieces.
        takes_documents: Whether it takes a document in place of rows.
        warm_rows: Of the example.
        warm_call_s: How long the last of these calls took.
        merging: Which requests may share a call of it.
        methods: Which a call may name; none where only asking the model tells.
        example_why: Why its input example could not be read, where there is one.
        row_form: What rows it takes, where no signature says so and it was found out.
    """

    signature: Signature | None
    flavor: str
    warm_calls: int
    engine_why: str = ""
    can_talk: bool = False
    takes_documents: bool = False
    warm_rows: int = 0
    warm_call_s: float = 0.0
    merging: Merging = Merging()
    methods: tuple[str, ...] | None = None
    example_why: str = ""
    row_form: RowForm | None = None


class Refused(Struct, frozen=True, tag="refused"):
    """The runner cannot serve the model."""

    reason: str
    is_transient: bool


class Answer(Struct, frozen=True, tag="answer"):
    """The model's answer to a call."""

    call: int
    names: tuple[str, ...]
    heads: tuple[ArrayHead, ...]
    is_table: bool
    is_whole: bool = False


class Failed(Struct, frozen=True, tag="failed"):
    """The rows of a call have no answer.

    Args:
        call: Which call.
        code: The code of the error, as in ``tracking.errors``.
        reason: Its message.
        trace: Where the model raised, for the log; empty where the caller is to blame.
    """

    call: int
    code: str
    reason: str
    trace: str = ""


class Piece(Struct, frozen=True, tag="piece"):
    """One piece of the answer to a talk: what JSON has."""

    call: int
    value: Any


class Done(Struct, frozen=True, tag="done"):
    """The answer to a talk has no more pieces."""

    call: int


_Message = TypeVar("_Message")

ToRunner = Predict | Talk | Credit | Stop
FromRunner = Phase | Converting | Ready | Refused | Answer | Failed | Piece | Done

_from_runner: msgspec.msgpack.Decoder[FromRunner] = msgspec.msgpack.Decoder(FromRunner)
_to_runner: msgspec.msgpack.Decoder[ToRunner] = msgspec.msgpack.Decoder(ToRunner)


def encode(
    message: ToRunner | FromRunner, chunks: Sequence[memoryview] = (), *, max_frame_bytes: int
) -> list[bytes | memoryview]:
    """Return the buffers to write for a message.

    Raises:
        FrameError: It holds a value that is no plain data, or is too large.
    """
    try:
        header = msgspec.msgpack.encode(message)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise FrameError(f"Not plain data: {error}.") from error
    return pack(header, chunks, max_frame_bytes=max_frame_bytes)


def decode_from_runner(frame: Frame) -> FromRunner:
    """Read what a runner said.

    Raises:
        FrameError: It is none of the messages a runner may send.
    """
    message = _decode(_from_runner, frame)
    if isinstance(message, Ready):
        _check_ready(message)
    return message


def decode_to_runner(frame: Frame) -> ToRunner:
    """Read what the worker said.

    Raises:
        FrameError: It is none of the messages a worker may send.
    """
    return _decode(_to_runner, frame)


def write_arrays(
    arrays: Sequence[NDArray[Any]],
) -> tuple[tuple[ArrayHead, ...], list[memoryview]]:
    """Describe arrays and return their bytes, one chunk each.

    Raises:
        FrameError: An array, or a cell of one, is no plain data.
    """
    heads, chunks = [], []
    for array in arrays:
        dtype, chunk = _write_array(array)
        heads.append(ArrayHead(dtype, array.shape, chunk.nbytes))
        chunks.append(chunk)
    return tuple(heads), chunks


def read_arrays(heads: Sequence[ArrayHead], body: bytearray) -> tuple[NDArray[Any], ...]:
    """Return the arrays of a body; those of numbers are writable views of it.

    Raises:
        FrameError: A head does not fit the body, or names a type that may not travel.
    """
    if sum(head.size_bytes for head in heads) != len(body):
        raise FrameError("The arrays do not fill the body.")
    view = memoryview(body)
    arrays, start = [], 0
    for head in heads:
        _check_shape(head)
        arrays.append(_read_array(head, view[start : start + head.size_bytes]))
        start += head.size_bytes
    return tuple(arrays)


def _decode(decoder: msgspec.msgpack.Decoder[_Message], frame: Frame) -> _Message:
    try:
        return decoder.decode(frame.header)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise FrameError("The header is not a message.") from error


def _check_ready(ready: Ready) -> None:
    if not set(ready.methods or ()) <= set(METHODS):
        raise FrameError("It names a method that no call may name.")
    if ready.signature is not None:
        _check_signature(ready.signature)


def _check_signature(signature: Signature) -> None:
    for spec in (*signature.inputs, *signature.outputs):
        match spec:
            case ColumnSpec(type=name) if name not in COLUMN_TYPES:
                raise FrameError("The signature names a column type that there is not.")
            case TensorSpec(dtype=name) if not _TENSOR_DTYPE.fullmatch(name):
                raise FrameError("The signature names a type that there is not.")
            case _:
                pass


def _write_array(array: NDArray[Any]) -> tuple[str, memoryview]:
    if array.dtype.kind in "OUS":
        return _OBJECT_DTYPE, memoryview(_write_cells(array))
    plain = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if not _RAW_DTYPE.fullmatch(plain.dtype.str):
        raise FrameError(f"An array of {array.dtype} cannot be sent.")
    return plain.dtype.str, np.ascontiguousarray(plain).reshape(-1).view(np.uint8).data


def _write_cells(array: NDArray[Any]) -> bytes:
    cells = [
        cell.item() if isinstance(cell, np.generic) else cell for cell in array.reshape(-1).tolist()
    ]
    try:
        _check_cells(cells)
        return msgspec.msgpack.encode(cells)
    except (ValueError, OverflowError, RecursionError) as error:
        raise FrameError("A cell is no valid text, or an integer beyond 64 bits.") from error


def _check_shape(head: ArrayHead) -> None:
    """Refuse what would cost more than its bytes: a zero axis hides any other length."""
    if not 1 <= len(head.shape) <= _MAX_DIMENSIONS or head.size_bytes < 0:
        raise FrameError("An array has no axis, too many, or a negative size.")
    if head.shape[0] < 0 or min(head.shape[1:], default=1) < 1:
        raise FrameError("An array has an empty or negative axis.")


def _read_array(head: ArrayHead, chunk: memoryview) -> NDArray[Any]:
    count = math.prod(head.shape)
    if head.dtype == _OBJECT_DTYPE:
        return _read_cells(count, chunk).reshape(head.shape)
    if not _RAW_DTYPE.fullmatch(head.dtype):
        raise FrameError("An array has a type that may not travel.")
    dtype: np.dtype[Any] = np.dtype(head.dtype)
    if count * dtype.itemsize != head.size_bytes:
        raise FrameError("An array's shape does not fit its bytes.")
    return np.frombuffer(chunk, dtype=dtype).reshape(head.shape)


def _read_cells(count: int, chunk: memoryview) -> NDArray[Any]:
    try:
        cells = msgspec.msgpack.decode(chunk, type=list[Any])
        _check_cells(cells)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise FrameError("The cells of an array are no list.") from error
    if len(cells) != count:
        raise FrameError("An array's shape does not fit its cells.")
    return np.fromiter(cells, dtype=object, count=count)


def _check_cells(cells: Sequence[object]) -> None:
    """Refuse what is neither a plain cell, nor a list or mapping of such."""
    if _CELL_TYPES.issuperset(map(type, cells)):
        return
    for cell in cells:
        match cell:
            case list():
                _check_cells(cell)
            case dict():
                _check_cells([*cell, *cell.values()])
            case str() | bytes() | int() | float() | None:
                pass
            case _:
                raise FrameError(f"A cell of type {type(cell).__name__} cannot be sent.")


def tidy(reason: str) -> str:
    """Return a runner's sentence as one short printable line: it may be hostile."""
    line = " ".join("".join(c if c.isprintable() else " " for c in reason[:2000]).split())
    return line if len(line) <= _MAX_REASON else line[: _MAX_REASON - 1] + "…"
