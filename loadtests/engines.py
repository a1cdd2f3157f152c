"""Which form of an ensemble of trees answers fastest, and which exactly, by numbers of rows.

``python -m loadtests.engines``: microseconds of CPU a call, of all its threads, the least of many
calls, taken in turns; what each is away from the library's own answers; what having it costs a
process. All goes into ``loadtests/results/engines.md``. Other engines are asked where they are
installed (``engine_forms.py``): best in an environment of its own that sees the packages of this.
"""

import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.engine_forms import Call, Rows, forms, scores
from loadtests.models import train

RESULT = Path(__file__).parent / "results" / "engines.md"
ROWS = (1, 32, 1_000, 10_000)
WIDTH = 20
_TURNS, _TURN_S, _MOST_CALLS = 5, 0.04, 40

_COSTS = {
    "nothing more": "pass",
    "compiled walk (llvmlite)": "from gateway.serving.engines.kernel import can_compile as f; f()",
    "treelite": "import treelite, treelite.gtil",
    "numba": "import numba; numba.njit(lambda n: n + 1)(1)",
    "onnxruntime": "import onnxruntime",
    "scikit-learn": "import sklearn.ensemble",
}
_COST = """
import time; from pathlib import Path
import gateway.serving.engines.engine
started = time.perf_counter()
try:
    {code}
except ImportError:
    raise SystemExit("not installed")
took_s = time.perf_counter() - started
_, *lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
told = dict(line.split()[:2] for line in lines)
own, all_kib = int(told["Private_Dirty:"]), int(told["Rss:"])
print(f"{{took_s:.1f}} | {{own / 1024:.0f}} | {{all_kib / 1024:.0f}}")
"""


def main() -> None:
    """Print the tables and keep them."""
    warnings.simplefilter("ignore")
    lines = list(_tables())
    RESULT.write_text("\n".join(lines) + "\n")
    print(f"kept in {RESULT}")


def _tables() -> Iterator[str]:
    rows = np.random.default_rng(1).normal(size=(max(ROWS), WIDTH))
    for name, model in _models():
        yield from _told(["", f"## {name}", ""])
        calls = dict(forms(model, WIDTH))
        yield from _told([f"| rows | {' | '.join(calls)} |", f"|---|{'---|' * len(calls)}"])
        for count in ROWS:
            yield from _told([f"| {count} | {' | '.join(_timed(calls, rows[:count]))} |"])
        expected = scores(calls["library"](rows[:1000]))
        off = [_distance(scores(call(rows[:1000])), expected) for call in calls.values()]
        yield from _told([f"| off by | {' | '.join(off)} |"])
    yield from _told(["", "## What it costs a process", ""])
    yield from _told(["| | seconds | MiB of its own | MiB in all |", "|---|---|---|---|"])
    for name, code in _COSTS.items():
        yield from _told([f"| {name} | {_cost(code)} |"])


def _told(lines: list[str]) -> list[str]:
    print("\n".join(lines), flush=True)
    return lines


def _models() -> Iterator[tuple[str, Any]]:
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    for letter in "BCE":
        model = train(letter).model
        yield f"{letter}: {type(model).__name__}, 100 trees", model
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(4000, WIDTH))
    labels = (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0).astype(int)
    for count in (100, 1000):
        xgboost = XGBClassifier(n_estimators=count, max_depth=6, n_jobs=1)
        yield f"XGBClassifier, {count} trees of depth 6", xgboost.fit(rows, labels)
        lightgbm = LGBMClassifier(n_estimators=count, n_jobs=1, verbose=-1)
        yield f"LGBMClassifier, {count} trees of 31 leaves", lightgbm.fit(rows, labels)


def _timed(calls: Mapping[str, Call], rows: Rows) -> list[str]:
    least = dict.fromkeys(calls, np.inf)
    for _ in range(_TURNS):
        for name, call in calls.items():
            ends_at = time.perf_counter() + _TURN_S
            for _ in range(_MOST_CALLS):
                started = time.process_time()
                call(rows)
                least[name] = min(least[name], time.process_time() - started)
                if time.perf_counter() > ends_at:
                    break
    return [f"{seconds * 1e6:,.0f}" for seconds in least.values()]


def _distance(found: Any, expected: Any) -> str:
    return f"{np.max(np.abs(found - expected) / np.abs(expected)):.0e}".replace("0e+00", "0")


def _cost(code: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", _COST.format(code=code)],
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout.strip() or "not installed | |"


if __name__ == "__main__":
    if not Path("gateway").is_dir():
        raise SystemExit("Call it from the root of the repository.")
    main()
