"""The rows on which an engine has to answer as its model does. Pure, but for a fixed seed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.conversion import Draft
from gateway.serving.engines.description import Columns, Ensemble, Splitting, Step, Trees
from gateway.serving.engines.walk import COLUMN_BITS
from registry.signature import ColumnSpec, Signature

SEED = 20_261_124
DIGITS = 17
_AROUND = 160
_AT_THRESHOLDS = 240
ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 1e38, 3.5e38, 1e-300, 1e16, 0.1)
COLUMN_DTYPES = {"integer": "<i4", "long": "<i8", "float": "<f4", "double": "<f8"}
_TAKEN = ("<f8", "<f4", "<i8", "<i4")


def proof_rows(
    draft: Draft, example: NDArray[Any] | None, signature: Signature | None
) -> Iterator[NDArray[Any]]:
    """Yield matrices, each to be answered in one call.

    Args:
        draft: What is to be proved; trees tell their thresholds.
        example: The rows that the model was saved with, or none.
        signature: Tells in which type rows come.
    """
    chance = np.random.default_rng(SEED)
    seeds = seeds_of(draft, example, chance)
    for rows in (shake(seeds, chance), _at_thresholds(seeds, draft, chance)):
        for dtype in _dtypes(signature):
            yield from in_pieces(_cast(rows, np.dtype(dtype)))
    yield from _odd_rows(seeds, chance)
    if draft.leaves_shapes:
        return
    yield np.zeros((1, draft.width + 1))
    yield np.zeros((1, draft.width - 1)) if draft.width > 1 else np.zeros((2, 3))
    yield np.zeros(draft.width)
    yield np.zeros((1, 2, draft.width))


def typed_rows(
    draft: Draft, example: NDArray[Any] | None, dtype: str, *, digits: int = DIGITS
) -> Iterator[NDArray[Any]]:
    """Yield some rows of a type, small and as large as it takes, but for so many digits."""
    chance = np.random.default_rng(SEED)
    seeds = seeds_of(draft, example, chance)
    rows = np.concatenate([seeds, _at_thresholds(seeds, draft, chance)[:60]])
    yield _cast(rows, np.dtype(dtype))
    scale = 10.0 ** chance.integers(3, digits, size=(60, 1))
    yield _cast(chance.normal(size=(60, draft.width)) * scale, np.dtype(dtype))


def seeds_of(
    draft: Draft, example: NDArray[Any] | None, chance: np.random.Generator
) -> NDArray[np.float64]:
    """Return rows to start from: the example, or numbers about as large as the thresholds."""
    if example is not None and example.ndim == 2 and example.shape[1] == draft.width:  # noqa: PLR2004
        return np.nan_to_num(example.astype(np.float64)[:64], posinf=0.0, neginf=0.0)
    rows: NDArray[np.float64] = chance.normal(size=(16, draft.width))
    for column, thresholds in _thresholds(draft).items():
        rows[:, column] = chance.choice(thresholds, 16)
    return rows


def shake(seeds: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    """Shake rows, a little and a lot."""
    rows = seeds[chance.integers(len(seeds), size=_AROUND)]
    scale = np.maximum(seeds.std(axis=0), np.abs(seeds).mean(axis=0) / 4 + 1e-3)
    widths = 10.0 ** chance.integers(-6, 2, size=(_AROUND, 1))
    shaken: NDArray[np.float64] = rows + chance.normal(size=rows.shape) * scale * widths
    return np.concatenate([seeds, shaken])


def _at_thresholds(
    seeds: NDArray[np.float64], draft: Draft, chance: np.random.Generator
) -> NDArray[np.float64]:
    """Put values on thresholds and one step beside them, in both precisions."""
    cuts = _thresholds(draft)
    rows = seeds[chance.integers(len(seeds), size=_AT_THRESHOLDS)].copy()
    if not cuts:
        rows *= chance.choice([1e-8, 1e-3, 1.0, 1e3, 1e8], size=(len(rows), 1))
        return rows
    for row in rows:
        for column, thresholds in cuts.items():
            if chance.random() < 0.7:  # noqa: PLR2004 - most columns of most rows
                row[column] = _beside(float(chance.choice(thresholds)), int(chance.integers(5)))
    return rows


def _beside(value: float, way: int) -> float:
    narrow = np.float32(value)
    ways = (
        value,
        np.nextafter(value, np.inf),
        np.nextafter(value, -np.inf),
        float(np.nextafter(narrow, np.float32(np.inf))),
        float(narrow),
    )
    return float(ways[way])


def _odd_rows(
    seeds: NDArray[np.float64], chance: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Yield rows alone that hold one odd value, or nothing else."""
    width = seeds.shape[1]
    for value in ODD:
        one = seeds[:1].copy()
        one[0, chance.integers(width)] = value
        yield one
        yield np.full((1, width), value)
    mixed = seeds[chance.integers(len(seeds), size=40)].copy()
    mixed[chance.random(mixed.shape) < 0.2] = np.nan  # noqa: PLR2004 - a fifth is missing
    yield mixed


def in_pieces(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield some rows alone, some together, and then all: engines differ by how many come."""
    yield from (rows[at : at + 1] for at in range(4))
    yield rows[4:9]
    yield rows[9:41]
    yield rows


def _cast(rows: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "i":
        limit = np.iinfo(dtype).max // 2
        return np.clip(np.nan_to_num(rows), -limit, limit).round().astype(dtype)
    with np.errstate(over="ignore"):
        return rows.astype(dtype)


def dtypes_of(signature: Signature) -> list[str]:
    """Return in which types a signature says that rows come; empty for other than numbers."""
    return [
        COLUMN_DTYPES.get(spec.type, "")
        if isinstance(spec, ColumnSpec)
        else np.dtype(spec.dtype).str
        for spec in signature.inputs
    ]


def _dtypes(signature: Signature | None) -> Sequence[str]:
    """Return float64, and what the signature says besides."""
    told = () if signature is None else dtypes_of(signature)
    return tuple(dict.fromkeys(["<f8", *(name for name in told if name in _TAKEN)]))


def _thresholds(draft: Draft) -> dict[int, NDArray[np.float64]]:
    """Return the finite thresholds of each column, where rows reach the trees unchanged."""
    found: dict[int, list[NDArray[np.float64]]] = {}
    for prefix, columns in _first_trees(draft.steps, range(draft.width)):
        nodes, thresholds = draft.arrays[f"{prefix}nodes"], draft.arrays[f"{prefix}thresholds"]
        kept = np.isfinite(thresholds)
        looked_at = nodes[kept] & ((1 << COLUMN_BITS) - 1)
        for column in (one for one in np.unique(looked_at).tolist() if one < len(columns)):
            mine = thresholds[kept][looked_at == column]
            found.setdefault(columns[column], []).append(mine)
    return {column: np.concatenate(some) for column, some in sorted(found.items())}


def _first_trees(
    steps: Sequence[Step], columns: Sequence[int], prefix: str = ""
) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield where the arrays of trees are that see the rows as they came, and which columns."""
    match steps[0]:
        case Trees() if len(steps) == 1:
            yield f"{prefix}0.", columns
        case Columns(blocks=blocks) if isinstance(steps[1], Splitting):
            plain = [column for block in blocks if not block.steps for column in block.columns]
            yield f"{prefix}2.", [columns[column] for column in plain]
        case Ensemble(members=members):
            for at, member in enumerate(members):
                some = [columns[column] for column in member.columns] or columns
                yield from _first_trees(member.steps, some, f"{prefix}0.{at}.")
        case _:
            pass
