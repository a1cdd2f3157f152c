"""Proof before traffic: a model answers its own input example, as its signature promises.

Called in the runner's process between loading and READY. A failed warm-up is a failed load.
"""

import importlib
import logging
import math
import time
import warnings
from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct
from numpy.typing import NDArray

from gateway.serving.messages import write_arrays
from gateway.serving.sample_rows import rows_of
from gateway.serving.states import State
from gateway.serving.time_limit import TookTooLong, within
from registry.input_example import UnreadableExample
from registry.signature import NESTED_TYPES, ColumnSpec, Signature, TensorSpec
from registry.tensors import Batch, Prediction
from tracking.errors import InputMismatch

_LOG = logging.getLogger("stagedoor.serving")
_OWN = "python_function"

_LONGEST_S = 5.0
"""Warming up ends after this, however few calls were made."""

_TEXT_COLUMNS = frozenset({"string", "binary", "datetime"})
_TEXT_PREFIXES = ("object", "str", "bytes", "datetime")


class Answering(Protocol):
    """What warming up needs of a loaded model."""

    @property
    def signature(self) -> Signature | None:
        """What it takes and gives, or none."""

    @property
    def flavor(self) -> str:
        """The name of its flavor."""

    def input_example(self) -> Batch | None:
        """Return the rows it was saved with, or ``None``."""

    def predict_batch(self, batch: Batch, params: dict[str, Any]) -> Prediction:
        """Answer one batch."""


class Warmed(Struct, frozen=True):
    """What came of it.

    Args:
        calls: How many were made; 0 when there is no example.
        rows: Of the example.
        call_s: How long the last call took.
        example_why: Why the example could not be read; empty where it was, or there is none.
    """

    calls: int = 0
    rows: int = 0
    call_s: float = 0.0
    example_why: str = ""


def warm_up(model: Answering, *, calls: int, enter: Callable[[State], None]) -> Warmed:
    """Let the model answer its example, and compare the answer with its signature.

    Args:
        model: The loaded model.
        calls: How often, at most; at least once.
        enter: Told of WARMING and TESTING.

    Raises:
        InputMismatch: The example or the answer does not fit the signature.
        FrameError: The answer holds what cannot be sent.
    """
    example, why = _read_example(model)
    if example is None:
        _try_out(model)
        return Warmed(example_why=why)
    enter(State.WARMING)
    began_s = last_s = time.monotonic()
    made, answer = 1, _answer(model, example)
    while made < calls and time.monotonic() - began_s < _LONGEST_S:
        last_s = time.monotonic()
        answer = _answer(model, example)
        made += 1
    warmed = Warmed(made, example.rows, time.monotonic() - last_s)
    enter(State.TESTING)
    if model.signature is not None:
        check_example(example, model.signature)
        check_answer(answer, model.signature)
    return warmed


def check_example(example: Batch, signature: Signature) -> None:
    """Refuse an example whose columns are not the ones of the signature.

    Raises:
        InputMismatch: A required column is missing, or one is there that the signature lacks.
    """
    specs = [spec for spec in signature.inputs if spec.name is not None]
    if not specs or not example.names:
        return
    known = {spec.name for spec in specs}
    required = {spec.name for spec in specs if isinstance(spec, TensorSpec) or spec.required}
    present = set(example.names)
    if wrong := (required - present) | (present - known):
        raise InputMismatch(
            f"The input example does not fit the signature: column {min(map(str, wrong))!r} "
            "is in only one of the two."
        )


def check_answer(answer: Prediction, signature: Signature) -> None:
    """Refuse an answer of another width or kind than the signature's outputs.

    A signature is often inferred from a table where the model gives a vector, and from whole
    numbers where it gives floats: so only widths and kinds (number or text) are compared. Times
    are text by the time they leave a model.

    Raises:
        InputMismatch: They differ.
    """
    if not signature.outputs:
        return
    expected = [kind for spec in signature.outputs for kind in _expected_kinds(spec)]
    found = [kind for array in answer.arrays for kind in _kinds(array)]
    if "any" in expected:
        return
    if len(expected) != len(found):
        raise InputMismatch(
            f"The answer to the input example has {len(found)} values a row; "
            f"the signature promises {len(expected)}."
        )
    if expected != found:
        raise InputMismatch(
            f"The answer to the input example holds {'/'.join(sorted(set(found)))}; "
            f"the signature promises {'/'.join(sorted(set(expected)))}."
        )


def _read_example(model: Answering) -> tuple[Batch | None, str]:
    """Return the example, or why it cannot be read."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UnreadableExample)
        example = model.input_example()
    whys = [str(one.message) for one in told if issubclass(one.category, UnreadableExample)]
    return example, "".join(whys[:1])


def _try_out(model: Answering) -> None:
    """Ask for made-up rows, so that the first caller does not wait for imports; it may fail."""
    rows = rows_of(model.signature)
    try:
        with within(_LONGEST_S):
            if rows is not None:
                _answer(model, rows)
            elif model.flavor == _OWN:
                importlib.import_module("pandas")
    except (Exception, SystemExit, TookTooLong) as error:  # noqa: BLE001 - nobody sent these rows
        _LOG.info("the model raised %s on made-up rows", type(error).__name__)


def _answer(model: Answering, example: Batch) -> Prediction:
    """Go the whole way a request goes: predict, and the bytes that are sent."""
    answer = model.predict_batch(example, {})
    write_arrays(answer.arrays)
    return answer


def _kinds(array: NDArray[Any]) -> list[str]:
    has_text = array.dtype.kind == "O" and any(isinstance(x, str | bytes) for x in array.flat)
    return ["text" if has_text else "number"] * math.prod(array.shape[1:])


def _expected_kinds(spec: ColumnSpec | TensorSpec) -> list[str]:
    if isinstance(spec, ColumnSpec):
        if spec.type in NESTED_TYPES:
            return ["any"]
        return ["text" if spec.type in _TEXT_COLUMNS else "number"]
    if any(length < 0 for length in spec.shape[1:]):
        return ["any"]
    kind = "text" if spec.dtype.startswith(_TEXT_PREFIXES) else "number"
    return [kind] * math.prod(spec.shape[1:])
