"""Tables on which an engine has to answer as its model does: texts, categories, types, gaps.

Pure, but for a fixed seed. For models that treat columns apart; matrices are ``proof_rows``'s.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.cells import UNKNOWN
from gateway.serving.engines.conversion import Draft
from gateway.serving.engines.description import Columns, Encoding, Imputing
from gateway.serving.engines.preparing import beneath
from gateway.serving.engines.proof_rows import COLUMN_DTYPES, ODD, SEED, in_pieces, seeds_of, shake
from registry.signature import ColumnSpec, Signature
from registry.tensors import Batch

_NO_WORD = "no such word, \u00fc"
_TYPES = {**COLUMN_DTYPES, "boolean": "|b1"}
_GAP_SHARE = 0.15


def proof_tables(
    draft: Draft,
    example: NDArray[Any] | None,
    signature: Signature | None,
    *,
    is_gappy: bool = False,
) -> Iterator[Batch]:
    """Yield tables, each to be answered in one call.

    Args:
        draft: What is to be proved; tells words and categories.
        example: The rows that the model was saved with, as the engine arranges them, or none.
        signature: Tells the type of each column.
        is_gappy: Whether texts are missing in each table; if not, in none.
    """
    chance = np.random.default_rng(SEED)
    cells = shake(seeds_of(draft, example, chance), chance)
    known = _categories(draft)
    for column, values in known.items():
        cells[:, column] = chance.choice(values, len(cells))
    texts = [wording.column for wording in draft.wordings]
    if is_gappy:
        for column in texts:
            cells[chance.random(len(cells)) < _GAP_SHARE, column] = np.nan
        cells[0, texts] = np.nan
    kinds = in_pieces(cells) if is_gappy else _variants(cells, known, texts, chance)
    for some in kinds:
        yield _table(some, draft, signature)


def _variants(
    cells: NDArray[np.float64],
    known: Mapping[int, NDArray[np.float64]],
    texts: list[int],
    chance: np.random.Generator,
) -> Iterator[NDArray[np.float64]]:
    yield from in_pieces(cells)
    numbers = [column for column in range(cells.shape[1]) if column not in texts]
    gaps = cells.copy()
    for column in numbers:
        gaps[chance.random(len(cells)) < _GAP_SHARE, column] = np.nan
    yield gaps
    for column in known:
        one = cells[:1].copy()
        one[0, column] = UNKNOWN if column in texts else 12_345.5
        yield one
        some = cells[:20].copy()
        some[chance.random(20) < _GAP_SHARE, column] = one[0, column]
        yield some
    for value in ODD if numbers else ():
        one = cells[:1].copy()
        one[0, chance.choice(numbers)] = value
        yield one


def _categories(draft: Draft) -> dict[int, NDArray[np.float64]]:
    """Return the values, or places of words, that encoders know of each column."""
    found: dict[int, NDArray[np.float64]] = {}
    first = draft.steps[0]
    places = beneath(draft.arrays, "0")
    if isinstance(first, Columns):
        for at, block in enumerate(first.blocks):
            for place, step in enumerate(block.steps):
                if isinstance(step, Encoding):
                    found |= _split(beneath(places, f"{at}.{place}"), block.columns)
                if not isinstance(step, Imputing):
                    break
    elif isinstance(first, Encoding):
        found |= _split(places, range(draft.width))
    words = {one.column: np.arange(len(one.words), dtype=np.float64) for one in draft.wordings}
    return found | words


def _split(arrays: Mapping[str, NDArray[Any]], columns: Any) -> dict[int, NDArray[np.float64]]:
    values = np.split(arrays["0"], np.cumsum(arrays["1"])[:-1])
    finite = (value[np.isfinite(value)] for value in values)
    return {column: one for column, one in zip(columns, finite, strict=True) if one.size}


def _table(cells: NDArray[np.float64], draft: Draft, signature: Signature | None) -> Batch:
    if draft.names is None:
        return Batch((), (cells,), is_matrix=True)
    names = draft.names
    told = {} if signature is None else {spec.name: spec for spec in signature.inputs}
    words = {one.column: one.words for one in draft.wordings}
    arrays = tuple(
        _texts(cells[:, at], words[at]) if at in words else _typed(cells[:, at], told.get(name))
        for at, name in enumerate(names)
    )
    return Batch(names, arrays, is_matrix=False)


def _texts(places: NDArray[np.float64], words: tuple[str, ...]) -> NDArray[Any]:
    column = np.empty(len(places), object)
    column[:] = [
        None if np.isnan(place) else _NO_WORD if place < 0 else words[int(place)]
        for place in places
    ]
    return column


def _typed(values: NDArray[np.float64], spec: Any) -> NDArray[Any]:
    """Return a column in the type that the signature tells; float64 where it tells none."""
    if not isinstance(spec, ColumnSpec):
        return values
    if spec.type in {"string", "binary", "datetime"}:
        return np.array(["unused"] * len(values), object)
    dtype = np.dtype(_TYPES[spec.type])
    if dtype.kind == "b":
        return np.nan_to_num(values) > 0
    if dtype.kind == "i":
        limit = np.iinfo(dtype).max // 2
        return np.clip(np.nan_to_num(values), -limit, limit).round().astype(dtype)
    with np.errstate(over="ignore"):
        return values.astype(dtype)
