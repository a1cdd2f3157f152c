"""Forms in which a fitted ensemble of trees can answer, each as a function of rows.

Ours, by each way through trees, and those of other engines where they are installed: ``treelite``,
``tl2cgen`` (with a C compiler), ``numba``, ``skl2onnx`` or ``onnxmltools`` with ``onnxruntime``.
"""

import importlib
import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from gateway.serving.engines.conversion import Draft, convert
from gateway.serving.engines.description import Choice, Description, Trees
from gateway.serving.engines.engine import Engine
from gateway.serving.engines.finishing import make_finisher
from gateway.serving.engines.kernel import can_compile
from registry.flavors.onnx import open_session

Rows = NDArray[np.float64]
Call = Callable[[Rows], Any]
_MOST_TREES_IN_C = 100


def forms(model: Any, width: int) -> Iterator[tuple[str, Call]]:
    """Yield each form that there is here, by its name; those that fail are told and left out."""
    draft = convert(model)
    makers: dict[str, Callable[[], Call | None]] = {
        "library": lambda: getattr(model, _method(draft)),
        "walk": lambda: _ours(draft),
        "table": lambda: _ours(draft, table_from_rows=1) if _trees(draft).table_from_rows else None,
        "compiled walk": lambda: _ours(draft, compiled_from_rows=1) if can_compile() else None,
        "treelite GTIL": lambda: _treelite(model, threads=1),
        "GTIL, 2 threads": lambda: _treelite(model, threads=2),
        "tl2cgen": lambda: _in_c(model, draft),
        "numba": lambda: _numba(draft),
        "onnxruntime": lambda: _onnx(model, width),
    }
    for name, make in makers.items():
        try:
            call = make()
        except Exception as error:  # noqa: BLE001 - whatever another library says: it has no form
            print(f"  no {name}: {type(error).__name__}: {str(error)[:120]}")
            continue
        if call is not None:
            yield name, call


def scores(answer: Any) -> NDArray[Any]:
    """Return one number a row of what a form answers: of two classes, the second's."""
    found = np.asarray(answer)
    if found.ndim == 3:  # noqa: PLR2004 - treelite has an axis of targets
        found = found[:, 0, :]
    return found[:, -1] if found.ndim == 2 else found  # noqa: PLR2004


def _trees(draft: Draft) -> Trees:
    last = draft.steps[-1]
    if not isinstance(last, Trees):
        raise TypeError(draft.kind)
    return last


def _method(draft: Draft) -> str:
    return "predict" if draft.finish.choice is Choice.NO_CLASS else "predict_proba"


def _ours(draft: Draft, **ways: int) -> Call:
    step = replace(_trees(draft), **{"table_from_rows": 0, "compiled_from_rows": 0, **ways})
    method = _method(draft)
    described = Description(
        draft.kind, draft.width, draft.names, (step,), draft.finish, (method,), method
    )
    engine = Engine(described, draft.arrays)
    return lambda rows: engine.answer(rows, method)


def _library_of(model: Any) -> str:
    return type(model).__module__.partition(".")[0]


def _as_treelite(model: Any) -> Any:
    import treelite

    match _library_of(model):
        case "xgboost":
            return treelite.frontend.from_xgboost(model.get_booster())
        case "lightgbm":
            return treelite.frontend.from_lightgbm(model.booster_)
        case _:
            return treelite.sklearn.import_model(model)


def _narrow(model: Any) -> type[Any]:
    return np.float32 if _library_of(model) == "xgboost" else np.float64


def _treelite(model: Any, *, threads: int) -> Call:
    import treelite

    made, kind = _as_treelite(model), _narrow(model)
    return lambda rows: treelite.gtil.predict(made, rows.astype(kind), nthread=threads)


def _in_c(model: Any, draft: Draft) -> Call | None:
    tl2cgen = importlib.import_module("tl2cgen")
    if _trees(draft).count > _MOST_TREES_IN_C or shutil.which("gcc") is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="stagedoor-trees-"))
    started = time.perf_counter()
    tl2cgen.export_lib(_as_treelite(model), "gcc", str(folder / "trees.so"))
    print(f"  tl2cgen compiled for {time.perf_counter() - started:.1f} s")
    predictor = tl2cgen.Predictor(str(folder / "trees.so"), nthread=1)
    shutil.rmtree(folder)
    kind = _narrow(model).__name__
    return lambda rows: predictor.predict(tl2cgen.DMatrix(rows.astype(kind), dtype=kind))


def _numba(draft: Draft) -> Call:
    """Return the compiled walk once more, made by numba, with the sums in it."""
    numba = importlib.import_module("numba")
    names = ("nodes", "thresholds", "values", "start", "depths")
    nodes, thresholds, values, start, depths = (draft.arrays[f"0.{name}"] for name in names)
    groups = _trees(draft).groups

    @numba.njit(nogil=True)  # type: ignore[untyped-decorator] # it has no types
    def walk(cells: NDArray[Any]) -> NDArray[Any]:
        rows, scores = len(cells), len(start)
        totals = np.empty((rows, scores), start.dtype)
        totals[:] = start
        at = np.empty(64, np.int64)
        for first in range(0, rows, 64):
            count = min(64, rows - first)
            for tree in range(len(depths)):
                at[:] = tree
                for _ in range(depths[tree]):
                    for row in range(count):
                        node = nodes[at[row]]
                        is_above = cells[first + row, node & 0xFFFF] > thresholds[at[row]]
                        at[row] = (node >> 16) + int(is_above)
                group = tree % groups
                for row in range(count):
                    for value in range(values.shape[1]):
                        totals[first + row, group + value] += values[at[row], value]
        return totals

    narrow = np.float32 if _trees(draft).is_narrow else np.float64
    method = _method(draft)
    finisher = make_finisher(draft.finish, draft.arrays.get("classes"), _trees(draft).count)
    finish = finisher.methods[method]
    return lambda rows: finish(walk(rows.astype(narrow).astype(np.float64)))


def _onnx(model: Any, width: int) -> Call:
    if _library_of(model) == "sklearn":
        types = importlib.import_module("skl2onnx.common.data_types")
        made = importlib.import_module("skl2onnx").convert_sklearn(
            model,
            initial_types=[("rows", types.FloatTensorType([None, width]))],
            options={id(model): {"zipmap": False}} if hasattr(model, "classes_") else None,
        )
    else:
        types = importlib.import_module("onnxmltools.convert.common.data_types")
        converter = getattr(importlib.import_module("onnxmltools"), f"convert_{_library_of(model)}")
        made = converter(model, initial_types=[("rows", types.FloatTensorType([None, width]))])
    session = open_session(made.SerializeToString())
    label = session.get_outputs()[-1].name

    def ask(rows: Rows) -> Any:
        answer = session.run([label], {"rows": rows.astype(np.float32)})[0]
        if isinstance(answer, list):
            return np.array([[row[0], row[1]] for row in answer])
        return answer

    return ask
