"""Rows for an estimator without a signature: what is refused for it is what it refuses itself."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from gateway.serving.row_form import RowForm
from gateway.serving.row_trial import find_row_form
from registry.loading import LoadedModel
from registry.tensors import DOCUMENT, Batch
from tests.gateway.serving import specimens as sp
from tests.gateway.serving.engines.boosted import BOOSTED
from tests.gateway.serving.engines.fitted import ENSEMBLES, FITS, PAIR, WIDTH, Saved
from tests.gateway.serving.engines.tables import TABLES
from tracking.errors import InputMismatch, ModelFailed

ALL = tuple(f"c{at}" for at in range(WIDTH))
STRICT = RowForm(ALL, ALL, WIDTH, allows_more=False)
TABLE = ("age", "income", "rooms")
KINDS: dict[str, tuple[Any, RowForm | None]] = {
    "logistic": (FITS["logistic"], RowForm(width=WIDTH)),
    "histograms": (FITS["histograms"], RowForm(width=WIDTH)),
    "pipeline on a frame": (FITS["pipeline on a frame"], STRICT),
    "xgb": (BOOSTED["xgb"], STRICT),
    "light goes by position": (BOOSTED["light"], RowForm(width=WIDTH)),
    "numbers of a table": (TABLES["the rest passes"][0], RowForm(TABLE, TABLE, 3)),
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


def misfits(names: tuple[str, ...]) -> Iterator[Batch]:
    """Yield rows of every shape, names and order near those that a model takes, these too."""
    width = len(names)
    for some in (1, width - 1, width, width + 1):
        yield Batch((), (np.ones((2, some)),), is_matrix=True)
        yield Batch((), (np.ones((2, some, 1)),), is_matrix=True)
        yield Batch((*names, "x")[:some], (np.ones((2, some)),), is_matrix=True)
        yield Batch(tuple(map(str, range(some))), (np.ones(2),) * some, is_matrix=False)
    yield Batch((), (np.ones(width),), is_matrix=True)
    yield Batch(names[::-1], (np.ones(2),) * width, is_matrix=False)
    for at in range(width):
        yield Batch((*names[:at], *names[at + 1 :]), (np.ones(2),) * (width - 1), is_matrix=False)
        yield Batch((*names[:at], "x", *names[at + 1 :]), (np.ones(2),) * width, is_matrix=False)


def is_refused(row_form: RowForm, batch: Batch) -> bool:
    try:
        row_form.check(batch, {})
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
def test_what_is_refused_is_what_the_model_refuses(kind: str) -> None:
    make, expected = KINDS[kind]
    model = Saved(make())

    found = find_row_form(model)

    assert found == expected
    if found is None:
        return
    names = found.names or tuple(map(str, range(WIDTH)))
    for cell, at in product(CELLS, (0, len(names) - 1)):
        batch = with_cell(names, at, cell)
        assert not (is_refused(found, batch) and is_answered(model, batch)), cell
        assert is_refused(found, batch) == (cell in ("a", "", "0x1", [1.0], {"a": 1})), cell
    for batch in misfits(names):
        assert is_refused(found, batch) is not is_answered(model, batch), batch


def test_an_example_is_what_a_text_is_tried_in() -> None:
    texts = Batch(("a",), (np.array(["x"], object),), is_matrix=False)

    assert find_row_form(Saved(BOOSTED["xgb booster"](), PAIR[:1])) == RowForm()
    assert find_row_form(_Exampled(FITS["logistic"](), texts)) is None


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
        RowForm().check(batch, {})

    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (with_cell(("c0", "z"), 0, 1), "missing 'c1', 'c2', 'c3', 'c4', 'c5'; not expected 'z'"),
        (Batch((), (np.ones((2, 5)),), is_matrix=True), "Row 0: expected 6 values, got 5"),
        (Batch((), (np.ones(6),), is_matrix=True), "1 axes: expected 2, rows of 6 values"),
    ],
)
def test_a_refusal_says_what_is_missing(batch: Batch, told: str) -> None:
    with pytest.raises(InputMismatch, match=told):
        STRICT.check(batch, {})


def test_columns_that_it_does_not_know_and_documents_are_left_to_others() -> None:
    batch = with_cell(("a", "b"), 1, "x")

    assert not is_refused(RowForm(("a",)), batch)
    RowForm().check(batch, {DOCUMENT: True})
