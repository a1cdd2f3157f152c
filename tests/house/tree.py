"""The source tree, for the tests of the house."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]
PACKAGES = ("stagedoor", "tracking", "registry", "gateway", "loadtests")


class Function(Struct, frozen=True):
    """One function: where it stands and how long it is."""

    where: str
    lines: int


def modules() -> Iterator[Path]:
    """Yield every module of ours."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "vendor" not in path.parts:
                yield path


def named(path: Path) -> str:
    """Return a path as the tests show it."""
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[Function]:
    """Yield every function and method of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Function(f"{named(path)}:{node.lineno} {node.name}", lines)


@cache
def names(path: Path) -> frozenset[str]:
    """Return every name that a module defines: classes, functions, arguments, variables."""
    return frozenset(_names(path))


def _names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
