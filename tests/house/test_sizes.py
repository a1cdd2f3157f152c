"""Modules and functions stay small enough to be read at one go."""

import statistics

from tests.house.tree import Function, functions, modules, named

MODULE_LINES = 400
FUNCTION_LINES = 40
MODULE_MEDIAN = 140
FUNCTION_MEDIAN = 10

TABLES = frozenset(
    {
        "registry/wire.py",  # structs of the wire, one after the other
        "tracking/wire.py",
        "registry/sql_store.py",  # one method per call of the seam
    }
)
"""Modules that are a table, and may be longer for it."""


def test_no_module_is_longer_than_the_ceiling() -> None:
    lengths = {
        named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()
    }

    too_long = {
        n: lines for n, lines in lengths.items() if lines > MODULE_LINES and n not in TABLES
    }

    assert too_long == {}


def test_no_function_is_longer_than_the_ceiling() -> None:
    too_long = [f for path in modules() for f in functions(path) if f.lines > FUNCTION_LINES]

    assert too_long == []


def test_the_medians_stay_low() -> None:
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in modules()]
    lines = [function.lines for path in modules() for function in functions(path)]

    assert statistics.median(lengths) <= MODULE_MEDIAN
    assert statistics.median(lines) <= FUNCTION_MEDIAN


def test_a_long_function_would_be_seen() -> None:
    assert Function("x", FUNCTION_LINES + 1).lines > FUNCTION_LINES
