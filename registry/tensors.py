"""Rows on their way into a model, and its answers on the way out: arrays with names.

Both the protocols of the gateway and the process in which a model runs speak in these.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field
from numpy.typing import NDArray

PREDICT_METHOD = "predict_method"
"""The parameter of a call that names the method of the model that is asked."""


DOCUMENT = "\0document"
"""The parameter of a call whose rows are documents: objects that the model takes as they came.

No caller can send it: JSON bodies with a NUL are refused.
"""

METHODS = ("predict", "predict_proba", "decision_function", "transform")
"""The methods that a call may name, where a model has them."""


class Batch(Struct, frozen=True):
    """Rows for one call of a model. Immutable.

    Two layouts. *Matrix*: ``arrays`` holds one array of shape (rows, ...) and ``names`` is empty or
    names its second axis. *Columns*: one array of shape (rows, ...) for each of ``names``; dtypes
    may differ, text is dtype object.

    Args:
        names: Column names, in order.
        arrays: The data, first axis rows, the same length in all.
        is_matrix: Which layout it is.
    """

    names: tuple[str, ...]
    arrays: tuple[NDArray[Any], ...]
    is_matrix: bool

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.arrays[0].shape[0]) if self.arrays else 0


class Prediction(Struct, frozen=True):
    """What a model answered for one batch. Immutable.

    Args:
        names: One name per array; a single unnamed output is called ``output``.
        arrays: First axis rows; text is dtype object, and so are cells of bytes, lists and dicts.
        is_table: The model answered with a table, to be written as records.
        is_whole: An answer stands for itself, and not for a list of one: the model was asked for
            a single row, or for documents.
    """

    names: tuple[str, ...]
    arrays: tuple[NDArray[Any], ...]
    is_table: bool = False
    is_whole: bool = False


class InferRequest(Struct, frozen=True):
    """One decoded request.

    Args:
        batch: Its rows.
        params: What the caller asks of the model besides rows.
        request_id: The caller's own id, to be echoed.
        outputs: Names of the outputs wanted; empty means all.
        routing_key: A sticky key found in the body, or none.
        allows_null: Whether the answer may say ``null`` for a number that is not finite.
        is_columnar: Whether the rows came column by column, and the answer should.
        is_raw: Whether outputs are wanted as raw bytes, where ``raw_by_name`` says nothing.
        raw_by_name: Which outputs are wanted as raw bytes, and which are not.
        timeout_us: How long it may take, in microseconds, where the body says so.
        priority: How much it matters, as it stands in the body.
        is_document: Whether the body was no rows but a document, which is answered unwrapped.
    """

    batch: Batch
    params: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    outputs: tuple[str, ...] = ()
    routing_key: str | None = None
    allows_null: bool = False
    is_columnar: bool = False
    is_raw: bool = False
    raw_by_name: Mapping[str, bool] = field(default_factory=dict)
    timeout_us: int | None = None
    priority: str | float | None = None
    is_document: bool = False
