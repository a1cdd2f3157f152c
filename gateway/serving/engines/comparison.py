"""A model and the engine made of it, asked the same. In the model's process."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.comparing import Native, outcome, same
from gateway.serving.engines.conversion import Draft
from gateway.serving.engines.description import Columns, Encoding
from gateway.serving.engines.in_worker import InWorker
from gateway.serving.engines.jumps import beside_jumps
from gateway.serving.engines.proof_rows import DIGITS, SEED, proof_rows, seeds_of, shake, typed_rows
from gateway.serving.engines.proof_tables import proof_tables
from registry.tensors import PREDICT_METHOD, Batch, Prediction


class Comparison:
    """One for each proof; not safe from several threads.

    Args:
        model: Loaded and warm.
        draft: What the rows are made for.
        engine: Made of the model.
        tolerance: As ``same`` takes it.

    Attributes:
        example: The rows that the model was saved with, as the engine arranges them.
        sample: A row that both answered alike.
    """

    def __init__(
        self, model: Native, draft: Draft, engine: InWorker, *, tolerance: float = 0.0
    ) -> None:
        self._tolerance = tolerance
        self._model = model
        self._draft = draft
        self._engine = engine
        self.example = _example(model, engine)
        self.sample: tuple[float, ...] = ()

    def difference(self, method: str, batches: Iterable[Batch] | None = None) -> str:
        """Return where engine and model differ, to complete a sentence, or an empty text."""
        for batch in self._batches() if batches is None else batches:
            found = outcome(partial(self._engine.predict_batch, batch, method))
            if found is None:
                # Left to the model, which answers as it does.
                continue
            expected = outcome(partial(self._model.predict_batch, batch, {PREDICT_METHOD: method}))
            if not same(expected, found, self._tolerance):
                return f"in {method!r} on {_describe_rows(batch)}"
            if isinstance(found, Prediction):
                self._keep_sample(batch)
        return ""

    def agrees_on(self, dtype: str, methods: Sequence[str], *, digits: int = DIGITS) -> bool:
        """Whether both answer rows of a type alike, with names and without, of so many digits."""
        names = self._draft.names or ()
        batches = [
            Batch(some, (rows,), is_matrix=True)
            for rows in typed_rows(self._draft, self.example, dtype, digits=digits)
            for some in dict.fromkeys(((), names))
        ]
        return not any(self.difference(method, batches) for method in methods)

    def beside_jumps(self, method: str) -> list[Batch]:
        """Return rows beside the jumps of the model's numbers; none where it gives none."""
        chance = np.random.default_rng(SEED)
        rows = shake(seeds_of(self._draft, self.example, chance), chance)
        answer = partial(self._numbers, method)
        if not answer(rows[:1]).size:
            return []
        return [self._batch(beside_jumps(answer, rows, chance))]

    def _numbers(self, method: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the model gives for rows, one line each; empty where those are no numbers."""
        asked = {PREDICT_METHOD: method}
        told = outcome(partial(self._model.predict_batch, self._batch(rows), asked))
        if not isinstance(told, Prediction) or told.arrays[0].dtype.kind != "f":
            return np.empty((len(rows), 0))
        return told.arrays[0].astype(np.float64).reshape(len(rows), -1)

    def _batch(self, rows: NDArray[Any]) -> Batch:
        return Batch(self._draft.names or (), (rows,), is_matrix=True)

    def _batches(self) -> Iterator[Batch]:
        draft, signature = self._draft, self._model.signature
        for rows in proof_rows(draft, self.example, signature):
            yield self._batch(rows)
        if isinstance(draft.steps[0], Columns | Encoding):
            yield from proof_tables(draft, self.example, signature)

    def _keep_sample(self, batch: Batch) -> None:
        rows = None if self.sample else self._engine.arrange(batch)
        if rows is not None:
            self.sample = tuple(map(float, np.nan_to_num(rows[0])))


def _describe_rows(batch: Batch) -> str:
    if not batch.is_matrix:
        return f"a table of {batch.rows} rows"
    return f"rows of {batch.arrays[0].dtype} and shape {batch.arrays[0].shape}"


def _example(model: Native, engine: InWorker) -> NDArray[Any] | None:
    example = model.input_example()
    return None if example is None else engine.arrange(example)
