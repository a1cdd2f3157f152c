"""Text for a model that takes numbers: what is refused for it is what it refuses itself."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from gateway.serving.numbers_only import NumbersOnly
from gateway.serving.numbers_trial import find_numbers_only
from registry.loading import LoadedModel
from registry.tensors import DOCUMENT, Batch
from tests.gateway.serving import specimens as sp
from tests.gateway.serving.engines.boosted import BOOSTED
from tests.gateway.serving.engines.fitted import ENSEMBLES, FITS, PAIR, WIDTH, Saved
from tests.gateway.serving.engines.tables import TABLES
from tracking.errors import InputMismatch, ModelFailed

ALL = tuple(f"c{at}" for at in range(WIDTH))
KINDS: dict[str, tuple[Any, NumbersOnly | None]] = {
    "logistic": (FITS["logistic"], NumbersOnly()),
    "histograms": (FITS["histograms"], NumbersOnly()),
    "pipeline on a frame": (FITS["pipeline on a frame"], NumbersOnly(ALL)),
    "xgb": (BOOSTED["xgb"], NumbersOnly(ALL)),
    "light": (BOOSTED["light"], NumbersOnly(ALL)),
    "numbers of a table": (TABLES["the rest passes"][0], NumbersOnly(("age", "income", "rooms"))),
    "not all are looked at": (ENSEMBLES["bag of lines"], None),
    "texts of a table": (TABLES["strict about categories"][0], None),
    "its author's own": (lambda: sp.Affine(2.0), None),
}
CELLS = ("a", "", "1.5", " 2 ", "1e5", "0x1", "1_000", "nan", [1.0], {"a": 1}, None, True, b"a")


def with_cell(names: tuple[str, ...], at: int, cell: Any) -> Batch:
    """Return two rows of columns, with something in the second row of one."""
    columns = [np.ones(2) for _ in names]
    columns[at] = np.fromiter([1.0, cell], dtype=object, count=2)
    return Batch(names, tuple(columns), is_matrix=False)


def is_refused(numbers_only: NumbersOnly, batch: Batch) -> bool:
    try:
        numbers_only.check(batch, {})
    except InputMismatch:
        return True
    return False


def is_answered(model: LoadedModel, batch: Batch) -> bool:
    try:
        model.predict_batch(batch, {})
    except ModelFailed:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_nothing_is_refused_that_the_model_answers(kind: str) -> None:
    make, expected = KINDS[kind]
    model = Saved(make())

    found = find_numbers_only(model)

    assert found == expected
    if found is None:
        return
    names = found.names or tuple(map(str, range(WIDTH)))
    for cell, at in product(CELLS, (0, len(names) - 1)):
        batch = with_cell(names, at, cell)
        assert not (is_refused(found, batch) and is_answered(model, batch)), cell
        assert is_refused(found, batch) == (cell in ("a", "", "0x1", [1.0], {"a": 1})), cell


def test_an_example_is_what_a_text_is_tried_in() -> None:
    texts = Batch(("a",), (np.array(["x"], object),), is_matrix=False)

    assert find_numbers_only(Saved(BOOSTED["xgb booster"](), PAIR[:1])) == NumbersOnly()
    assert find_numbers_only(_Exampled(FITS["logistic"](), texts)) is None


class _Exampled(Saved):
    """A model with an example that is no matrix."""

    def input_example(self) -> Batch | None:
        example: Batch | None = self._example
        return example


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (with_cell(("a", "b"), 1, "secret"), "Column 'b', row 1: expected a number, got a string"),
        (with_cell(("a", "b"), 0, [1]), "Column 'a', row 1: expected a number, got an array"),
        (
            Batch((), (np.array([[1, 2, 3], [4, "x", 6]], object),), is_matrix=True),
            "Column '1', row 1",
        ),
        (with_cell(("n" * 1000,), 0, {}), f"Column '{'n' * 64}', row 1: .* got an object"),
    ],
)
def test_a_refusal_says_where_and_what_and_not_the_value(batch: Batch, told: str) -> None:
    with pytest.raises(InputMismatch, match=told) as refused:
        NumbersOnly().check(batch, {})

    assert "secret" not in refused.value.message


def test_columns_that_it_does_not_know_and_documents_are_left_to_others() -> None:
    batch = with_cell(("a", "b"), 1, "x")

    assert not is_refused(NumbersOnly(("a",)), batch)
    NumbersOnly().check(batch, {DOCUMENT: True})
