"""Histogram boosting that knows categories: its encoder and its splits. In the model's process.

The estimator numbers the categories itself, and each of its splits by category names the numbers
that go left. Both become steps before the trees, which then compare numbers alone (``sides``).
"""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.serving.engines.column_conversion import (
    Lexicon,
    Prepared,
    category_arrays,
    ordinal_numbers,
)
from gateway.serving.engines.description import Block, Columns, Encoding, Splitting
from gateway.serving.engines.no_engine import NoEngine
from gateway.serving.engines.sides import MAX_SPLITS

_UNKNOWN = -1.0
_LIMIT = 0.5
"""Between left and right."""


class Splits(Struct, frozen=True):
    """All splits of an estimator, after its columns were put in place of its categories.

    Args:
        columns: Which column each node looks at.
        thresholds: What it is compared with.
        arrays: Of ``Splitting``.
    """

    columns: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    arrays: dict[str, NDArray[Any]]


def has_categories(estimator: Any) -> bool:
    """Whether an estimator is histogram boosting that numbers categories."""
    return getattr(estimator, "_preprocessor", None) is not None and hasattr(
        estimator, "_predictors"
    )


def prepare_categories(ensemble: Any, lexicon: Lexicon) -> list[Prepared]:
    """Express what comes before the trees.

    Args:
        ensemble: One that ``has_categories``.
        lexicon: Told of all words.

    Raises:
        NoEngine: It cannot be.
    """
    transformer = ensemble._preprocessor  # noqa: SLF001 - told nowhere else
    indices = transformer._transformer_to_input_indices  # noqa: SLF001 - told nowhere else
    encoder = transformer.named_transformers_["encoder"]
    coded, plain = (tuple(map(int, indices[name])) for name in ("encoder", "numerical"))
    encoding = Encoding(is_one_hot=False, width=len(coded), takes_unknown=True, unknown=_UNKNOWN)
    arrays = category_arrays(encoder, coded, lexicon, ordinal_numbers(encoder))
    blocks = (Block(coded, (encoding,)), *((Block(plain, ()),) if plain else ()))
    codes = Prepared(
        Columns(blocks),
        {f"0.0.{name}": array for name, array in arrays.items()},
        (None,) * (len(coded) + len(plain)),
    )
    splits = find_splits(ensemble)
    return [codes, Prepared(Splitting(), splits.arrays, ())]


def find_splits(ensemble: Any) -> Splits:
    """Return the splits of all trees, one tree after the other.

    Raises:
        NoEngine: There are too many by category.
    """
    encoder = ensemble._preprocessor.named_transformers_["encoder"]  # noqa: SLF001 - see above
    counts = np.array([_count(categories) for categories in encoder.categories_], np.int64)
    predictors = [one for stage in ensemble._predictors for one in stage]  # noqa: SLF001 - see above
    nodes = np.concatenate([predictor.nodes for predictor in predictors])
    is_set = nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)
    columns = nodes["feature_idx"].astype(np.int64) - len(counts)
    if (columns[~is_set & ~nodes["is_leaf"].astype(bool)] < 0).any():
        raise NoEngine("Histogram boosting that compares categories has no engine.")
    named = np.concatenate([_named(predictor) for predictor in predictors])
    # The column first, so that the splits of one stand side by side.
    keys = np.column_stack([nodes["feature_idx"][is_set], named])
    distinct, which = np.unique(keys, axis=0, return_inverse=True)
    if len(distinct) > MAX_SPLITS:
        raise NoEngine("Histogram boosting with so many splits by category has no engine.")
    columns[is_set] = len(ensemble.is_categorical_) - len(counts) + which.reshape(-1)
    thresholds = nodes["num_threshold"].astype(np.float64)
    thresholds[is_set] = _LIMIT
    return Splits(columns, thresholds, _arrays(distinct, counts))


def _arrays(distinct: NDArray[np.int64], counts: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    sides = np.unpackbits(distinct[:, 1:].astype(np.uint8), axis=1, bitorder="little") == 0
    mine = [distinct[:, 0] == column for column in range(len(counts))]
    tables = [sides[some, :count].T for some, count in zip(mine, counts.tolist(), strict=True)]
    return {
        "0": counts,
        "1": np.array([table.shape[1] for table in tables], np.int64),
        "2": np.concatenate([table.reshape(-1) for table in tables]),
    }


def _named(predictor: Any) -> NDArray[np.uint8]:
    """Return which categories go left at each split by category, shape (splits, 32), in bits."""
    nodes = predictor.nodes
    is_set = nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)
    bits = np.asarray(predictor.raw_left_cat_bitsets, "<u4")[nodes["bitset_idx"][is_set]]
    return np.ascontiguousarray(bits).view(np.uint8).reshape(-1, 32)


def _count(categories: NDArray[Any]) -> int:
    """Return how many categories have a number: what is missing has none."""
    last = categories[-1:].tolist()
    return len(categories) - sum(1 for one in last if one != one)  # noqa: PLR0124 - NaN alone does
