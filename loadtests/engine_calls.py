"""Time of one call: boosting by its own library, by our engines, and by other engines.

``python -m loadtests.engine_calls``: microseconds, one thread, the least of many calls, taken in
turns. Other engines are asked where they are installed: ``treelite``, ``numba``,
``onnxmltools`` with ``onnxruntime``.
"""

import importlib
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from gateway.serving.engines.conversion import Draft, convert
from gateway.serving.engines.description import Description, Trees
from gateway.serving.engines.engine import Engine
from registry.flavors.onnx import open_session

ROWS = (1, 32, 1000)
WIDTH = 20
TURNS, CALLS = 7, 5
Call = Callable[[NDArray[Any]], Any]


def main() -> None:
    """Print a table for each model."""
    warnings.simplefilter("ignore")
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(4000, WIDTH))
    labels = (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0).astype(int)
    for name, model in _models(rows, labels):
        calls = dict(_calls(name, model, rows))
        expected = model.predict_proba(rows[:1000])[:, 1]
        print(f"\n{name}\n\n| rows | {' | '.join(calls)} |\n|---|{'---|' * len(calls)}")
        for count in ROWS:
            print(f"| {count} | {' | '.join(_timed(calls, rows[:count]))} |")
        off = [_distance(call(rows[:1000]), expected) for call in calls.values()]
        print(f"| off by | {' | '.join(off)} |")


def _models(rows: Any, labels: Any) -> Iterator[tuple[str, Any]]:
    import lightgbm
    import xgboost

    for depth in (3, 6):
        fitted = xgboost.XGBClassifier(n_estimators=100, max_depth=depth, n_jobs=1)
        yield f"xgboost, 100 trees of depth {depth}", fitted.fit(rows, labels)
    quiet = lightgbm.LGBMClassifier(n_estimators=100, n_jobs=1, verbose=-1)
    yield "lightgbm, 100 trees of 31 leaves", quiet.fit(rows, labels)


def _calls(name: str, model: Any, rows: NDArray[Any]) -> Iterator[tuple[str, Call]]:
    yield "library", model.predict_proba
    draft = convert(model)
    for form, first in (("walk", 0), ("table of bits", 1)):
        last = draft.steps[-1]
        if isinstance(last, Trees) and (not first or last.table_from_rows):
            engine = _engine(replace(draft, steps=(replace(last, table_from_rows=first),)))
            yield form, lambda x, engine=engine: engine.answer(x, "predict_proba")  # type: ignore[misc] # a default binds it
    if _has("treelite"):
        yield "treelite GTIL", _treelite(name, model)
    if _has("numba"):
        yield "numba", _numba(draft)
    if _has("onnxmltools") and _has("onnxruntime"):
        yield "onnxruntime", _onnx(name, model)
    del rows


def _engine(draft: Draft) -> Engine:
    methods = ("predict", "predict_proba")
    described = Description(
        draft.kind, draft.width, draft.names, draft.steps, draft.finish, methods, "predict"
    )
    return Engine(described, draft.arrays)


def _treelite(name: str, model: Any) -> Call:
    import treelite

    if name.startswith("xgboost"):
        made = treelite.frontend.from_xgboost(model.get_booster())
    else:
        made = treelite.frontend.from_lightgbm(model.booster_)
    narrow = np.float32 if name.startswith("xgboost") else np.float64
    return lambda x: treelite.gtil.predict(made, x.astype(narrow), nthread=1)


def _numba(draft: Draft) -> Call:
    """Return a compiled walk over the same nodes, one row and one tree after the other."""
    numba = importlib.import_module("numba")
    names = ("nodes", "thresholds", "values", "start")
    nodes, thresholds, values, start = (draft.arrays[f"0.{name}"] for name in names)
    last = draft.steps[-1]
    count = last.count if isinstance(last, Trees) else 0
    kind = start.dtype.type

    @numba.njit  # type: ignore[untyped-decorator] # it has no types
    def walk(cells: NDArray[Any]) -> NDArray[Any]:
        scores = np.empty(len(cells), start.dtype)
        for row in range(len(cells)):
            total = start[0]
            for tree in range(count):
                node = tree
                while nodes[node] >> 16 != node:
                    goes_right = cells[row, nodes[node] & 0xFFFF] > thresholds[node]
                    node = (nodes[node] >> 16) + int(goes_right)
                total = kind(total + values[node, 0])
            scores[row] = total
        return scores

    narrow = np.float32 if kind is np.float32 else np.float64
    return lambda x: 1 / (1 + np.exp(-walk(x.astype(narrow).astype(np.float64))))


def _onnx(name: str, model: Any) -> Call:
    types = importlib.import_module("onnxmltools.convert.common.data_types")
    convert_it = getattr(
        importlib.import_module("onnxmltools"), f"convert_{name.partition(',')[0]}"
    )
    made = convert_it(model, initial_types=[("rows", types.FloatTensorType([None, WIDTH]))])
    session = open_session(made.SerializeToString())
    label = session.get_outputs()[1].name

    def ask(x: NDArray[Any]) -> Any:
        answer = session.run([label], {"rows": x.astype(np.float32)})[0]
        if isinstance(answer, list):
            return np.array([row[1] for row in answer])
        return answer[:, 1]

    return ask


def _timed(calls: dict[str, Call], rows: NDArray[Any]) -> list[str]:
    least = dict.fromkeys(calls, np.inf)
    for _ in range(TURNS):
        for name, call in calls.items():
            for _ in range(CALLS):
                started = time.perf_counter()
                call(rows)
                least[name] = min(least[name], time.perf_counter() - started)
    return [f"{seconds * 1e6:,.0f}" for seconds in least.values()]


def _distance(answer: Any, expected: NDArray[Any]) -> str:
    found = np.asarray(answer)
    found = found[:, 1] if found.ndim == 2 and found.shape[1] == 2 else found.reshape(-1)  # noqa: PLR2004
    return f"{np.max(np.abs(found - expected) / expected):.0e}"


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


if __name__ == "__main__":
    if not Path("gateway").is_dir():
        raise SystemExit("Call it from the root of the repository.")
    main()
