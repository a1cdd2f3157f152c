"""What a request cannot do without: the fastest decode, the engine, the fastest encode, by hand.

No server and no socket: the least CPU that a request with many rows takes, whoever serves it.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.protocols import mlflow_scoring
from gateway.serving.engines.folder import read_engine
from gateway.serving.engines.proof import make_engine
from loadtests import peers
from loadtests.models import Specimen, as_scoring
from registry.loading import load_folder
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import Prediction

_FOR_S = 0.3
_LEAST_CALLS = 5


class Least(Struct, frozen=True):
    """CPU in microseconds.

    Args:
        decode_us: Of the fastest decoder.
        engine_us: Of the engine.
        encode_us: Of the fastest encoder.
    """

    decode_us: float
    engine_us: float
    encode_us: float

    @property
    def total_us(self) -> float:
        """Return the whole."""
        return self.decode_us + self.engine_us + self.encode_us


class Beside(Struct, frozen=True):
    """The least CPU of a request, and what it took our server.

    Args:
        model: A to E.
        rows: In the request.
        least: By hand.
        ours_us: The whole of our server's CPU for one request, at its best.
    """

    model: str
    rows: int
    least: Least
    ours_us: float


def format_least(found: list[Beside]) -> str:
    """Write a table in Markdown."""
    head = (
        "| model | rows | decode µs | engine µs | encode µs | least µs | ours µs | least/ours |\n"
    )
    lines = (
        f"| {one.model} | {one.rows} | {one.least.decode_us:,.0f} | {one.least.engine_us:,.0f} "
        f"| {one.least.encode_us:,.0f} | {one.least.total_us:,.0f} | {one.ours_us:,.0f} "
        f"| {one.least.total_us / one.ours_us:.2f} |\n"
        for one in found
    )
    return head + "|---" * 8 + "|\n" + "".join(lines)


class _Split(Struct):
    columns: list[str]
    data: list[list[float]]


class _Body(Struct):
    instances: list[list[float]] = []
    dataframe_split: _Split | None = None


def measure(specimen: Specimen, rows: int) -> Least:
    """Time the three steps of a request with so many rows, each alone.

    Raises:
        RuntimeError: The model has no engine.
    """
    picked = np.asarray(specimen.rows)[:rows]
    body = msgspec.json.encode(as_scoring(picked.tolist(), specimen.columns))
    with tempfile.TemporaryDirectory() as made:
        saved, folder = Path(made) / "model", Path(made) / "engine"
        peers.save(specimen, saved)
        folder.mkdir()
        why = make_engine(load_folder(saved), folder)
        if why:
            raise RuntimeError(why)
        engine = read_engine(folder)
        answer = engine.answer(picked, "predict")
        return Least(
            _least_us(_decoders(specimen, body)),
            _least_us([lambda: engine.answer(picked, "predict")]),
            _least_us(_encoders(answer)),
        )


def _decoders(specimen: Specimen, body: bytes) -> list[Callable[[], object]]:
    typed = msgspec.json.Decoder(_Body)

    def by_type() -> NDArray[Any]:
        read = typed.decode(body)
        return np.array(read.dataframe_split.data if read.dataframe_split else read.instances)

    signature = _signature(specimen)
    return [by_type, lambda: mlflow_scoring.decode(body, "application/json", signature)]


def _encoders(answer: NDArray[Any]) -> list[Callable[[], object]]:
    prediction = Prediction(("output",), (answer,))
    encoder = msgspec.json.Encoder()
    ours = mlflow_scoring.encode
    request = mlflow_scoring.decode(b'{"instances": [[1.0]]}', "application/json", None)
    return [
        lambda: encoder.encode({"predictions": answer.tolist()}),
        lambda: ours(prediction, request),
    ]


def _signature(specimen: Specimen) -> Signature:
    if specimen.columns:
        return Signature(inputs=tuple(ColumnSpec("double", name) for name in specimen.columns))
    return Signature(inputs=(TensorSpec("float64", (-1, specimen.rows.shape[1])),))


def _least_us(calls: list[Callable[[], object]]) -> float:
    return min(map(_time_us, calls))


def _time_us(call: Callable[[], object]) -> float:
    """Return the least CPU of a call: what else the machine does only adds to it."""
    call()
    taken: list[float] = []
    ends_at = time.monotonic() + _FOR_S
    while time.monotonic() < ends_at or len(taken) < _LEAST_CALLS:
        before_s = time.thread_time()
        call()
        taken.append(time.thread_time() - before_s)
    return min(taken) * 1e6
