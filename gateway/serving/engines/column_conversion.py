"""Fitted steps that treat columns apart: imputers, encoders, column transformers.

In the model's process. Texts become places in a list of words, one list for each column of the
table (``Lexicon``).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.serving.engines.classes import name_of, stages_of
from gateway.serving.engines.description import (
    Block,
    Columns,
    Encoding,
    Imputing,
    Preparing,
    Splitting,
    Wording,
)
from gateway.serving.engines.no_engine import NoEngine
from gateway.serving.engines.scaler_conversion import SCALERS, convert_scaler

Arrays = dict[str, NDArray[Any]]

_LARGEST_WHOLE = 1 << 53


class Lexicon:
    """The words of the columns of a table; they grow while encoders are read."""

    def __init__(self) -> None:
        self._words: dict[int, dict[str, int]] = {}

    def place(self, column: int | None, word: str) -> float:
        """Return what stands for a word in a column."""
        if column is None:
            raise NoEngine("Text that another step has made has no engine.")
        words = self._words.setdefault(column, {})
        return float(words.setdefault(word, len(words)))

    def wordings(self) -> tuple[Wording, ...]:
        """Return the list of words of each column that has text."""
        return tuple(Wording(at, tuple(words)) for at, words in sorted(self._words.items()))


class Prepared(Struct, frozen=True):
    """What was made of a step.

    Args:
        step: As in an engine.
        arrays: Likewise.
        columns: What column of the table each that comes out is; none for what was made anew.
        is_sparse: Whether what comes out is sparse.
    """

    step: Preparing | Columns | Splitting
    arrays: Arrays
    columns: tuple[int | None, ...]
    is_sparse: bool = False


Places = Sequence[int | None]


def convert_preparation(estimator: Any, columns: Places, lexicon: Lexicon) -> Prepared:
    """Express a step before the last one in arrays.

    Args:
        estimator: Fitted.
        columns: What column of the table each that goes in is; none for what was made anew.
        lexicon: Told of all words.

    Raises:
        NoEngine: It cannot be.
    """
    name = name_of(estimator)
    if name == "ColumnTransformer":
        return _convert_columns(estimator, lexicon)
    if name == "FeatureUnion":
        return _convert_union(estimator, range(len(columns)), lexicon)
    if name in SCALERS:
        scaling, operands = convert_scaler(estimator)
        arrays = {str(at): operand for at, operand in enumerate(operands)}
        return Prepared(scaling, arrays, (None,) * len(columns))
    converter = _PREPARING.get(name)
    if converter is None:
        raise NoEngine(f"{name} is not among the steps that have an engine.")
    return converter(estimator, columns, lexicon)


def _convert_imputer(imputer: Any, columns: Places, lexicon: Lexicon) -> Prepared:
    if imputer.add_indicator:
        raise NoEngine("An imputer that adds indicators has no engine.")
    if not _is_nan(imputer.missing_values):
        raise NoEngine("An imputer of other values than NaN has no engine.")
    values = [
        _number(value, column, lexicon)
        for value, column in zip(imputer.statistics_.tolist(), columns, strict=True)
    ]
    if not np.isfinite(values).all():
        raise NoEngine("An imputer that drops columns has no engine.")
    return Prepared(Imputing(), {"0": np.array(values, np.float64)}, tuple(columns))


def _convert_one_hot(encoder: Any, columns: Places, lexicon: Lexicon) -> Prepared:
    _refuse_infrequent(encoder)
    if np.dtype(encoder.dtype) != np.float64:
        raise NoEngine("An encoder of another type than float64 has no engine.")
    dropped = encoder.drop_idx_
    places, width = [], 0
    for at, categories in enumerate(encoder.categories_):
        drop = None if dropped is None else dropped[at]
        kept = [n for n in range(len(categories)) if n != drop]
        place = np.full(len(categories), -1.0)
        place[kept] = np.arange(width, width + len(kept))
        places.append(place)
        width += len(kept)
    step = Encoding(is_one_hot=True, width=width, takes_unknown=encoder.handle_unknown != "error")
    return Prepared(
        step,
        category_arrays(encoder, columns, lexicon, places),
        (None,) * width,
        is_sparse=bool(encoder.sparse_output),
    )


def _convert_ordinal(encoder: Any, columns: Places, lexicon: Lexicon) -> Prepared:
    _refuse_infrequent(encoder)
    if np.dtype(encoder.dtype) != np.float64:
        raise NoEngine("An encoder of another type than float64 has no engine.")
    numbers = ordinal_numbers(encoder)
    takes_unknown = encoder.handle_unknown != "error"
    step = Encoding(
        is_one_hot=False,
        width=len(numbers),
        takes_unknown=takes_unknown,
        unknown=float(encoder.unknown_value) if takes_unknown else 0.0,
    )
    if np.isnan(step.unknown):
        raise NoEngine("An encoder that makes NaN of what it does not know has no engine.")
    arrays = category_arrays(encoder, columns, lexicon, numbers)
    return Prepared(step, arrays, (None,) * len(numbers))


def ordinal_numbers(encoder: Any) -> list[NDArray[np.float64]]:
    """Return what number each category of each column becomes."""
    numbers = []
    for categories in encoder.categories_:
        number = np.arange(len(categories), dtype=np.float64)
        number[[_is_missing(one) for one in categories.tolist()]] = encoder.encoded_missing_value
        numbers.append(number)
    return numbers


_PREPARING: Mapping[str, Callable[[Any, Places, Lexicon], Prepared]] = {
    "OneHotEncoder": _convert_one_hot,
    "OrdinalEncoder": _convert_ordinal,
    "SimpleImputer": _convert_imputer,
}


def category_arrays(
    encoder: Any, columns: Places, lexicon: Lexicon, becomes: Sequence[NDArray[np.float64]]
) -> Arrays:
    """Return categories in ascending order for each column, and what each becomes."""
    ascending, becoming = [], []
    for categories, column, numbers in zip(encoder.categories_, columns, becomes, strict=True):
        found = np.array([_number(one, column, lexicon) for one in categories.tolist()])
        found[np.isnan(found)] = np.inf
        order = np.argsort(found)
        ascending.append(found[order])
        becoming.append(numbers[order])
    return {
        "0": np.concatenate(ascending),
        "1": np.array([len(found) for found in ascending], np.int64),
        "2": np.concatenate(becoming),
    }


def _convert_columns(transformer: Any, lexicon: Lexicon) -> Prepared:
    blocks: list[Block] = []
    arrays: Arrays = {}
    columns: list[int | None] = []
    indices = transformer._transformer_to_input_indices  # noqa: SLF001 - told nowhere else
    for name, estimator, _ in transformer.transformers_:
        places = [int(place) for place in indices[name]]
        if not places or (isinstance(estimator, str) and estimator == "drop"):
            continue
        block, mine, out = _convert_block(estimator, places, lexicon)
        if name in (transformer.transformer_weights or {}):
            raise NoEngine("A column transformer with weights has no engine.")
        arrays |= {f"{len(blocks)}.{n}": array for n, array in mine.items()}
        blocks.append(block)
        columns += out
    if not blocks:
        raise NoEngine("A column transformer that drops all columns has no engine.")
    is_sparse = bool(transformer.sparse_output_)
    return Prepared(Columns(tuple(blocks)), arrays, tuple(columns), is_sparse=is_sparse)


def _convert_union(union: Any, places: Sequence[int], lexicon: Lexicon) -> Prepared:
    """Express steps side by side, each of which is given all columns."""
    if union.transformer_weights:
        raise NoEngine("A union with weights has no engine.")
    blocks: list[Block] = []
    arrays: Arrays = {}
    columns: list[int | None] = []
    for _, estimator in union.transformer_list:
        if isinstance(estimator, str) and estimator == "drop":
            continue
        block, mine, out = _convert_block(estimator, places, lexicon)
        if any(isinstance(step, Encoding) for step in block.steps):
            raise NoEngine("A union with encoders has no engine.")
        arrays |= {f"{len(blocks)}.{n}": array for n, array in mine.items()}
        blocks.append(block)
        columns += out
    return Prepared(Columns(tuple(blocks)), arrays, tuple(columns))


def _convert_block(
    estimator: Any, places: Sequence[int], lexicon: Lexicon
) -> tuple[Block, Arrays, Places]:
    steps: list[Preparing] = []
    arrays: Arrays = {}
    columns: Places = places
    is_sparse = False
    for stage in stages_of(estimator):
        if _passes(stage):
            continue
        prepared = convert_preparation(stage, columns, lexicon)
        if isinstance(prepared.step, Columns | Splitting):
            raise NoEngine("A column transformer within another one has no engine.")
        if is_sparse:
            raise NoEngine("A step after one with a sparse result has no engine.")
        arrays |= {f"{len(steps)}.{n}": array for n, array in prepared.arrays.items()}
        steps.append(prepared.step)
        columns, is_sparse = prepared.columns, prepared.is_sparse
    return Block(tuple(places), tuple(steps)), arrays, columns


def _passes(stage: Any) -> bool:
    """Whether a stage leaves its columns as they are."""
    if stage is None or (isinstance(stage, str) and stage == "passthrough"):
        return True
    return name_of(stage) == "FunctionTransformer" and stage.func is None


def _refuse_infrequent(encoder: Any) -> None:
    if encoder.min_frequency is not None or encoder.max_categories is not None:
        raise NoEngine("An encoder of infrequent categories has no engine.")


def _number(value: Any, column: int | None, lexicon: Lexicon) -> float:
    """Return what stands for a category, or for a value that is put in."""
    if isinstance(value, str):
        return lexicon.place(column, value)
    if _is_missing(value):
        return float(np.nan)
    if not isinstance(value, bool | int | float) or abs(value) > _LARGEST_WHOLE:
        raise NoEngine(f"A category of the type {type(value).__name__!r} has no engine.")
    return float(value)


def _is_missing(value: Any) -> bool:
    return value is None or _is_nan(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value  # noqa: PLR0124 - NaN alone differs from itself
