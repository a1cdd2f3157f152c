"""What people and metrics call the ways in which engines answer. Pure."""

from gateway.serving.engines.description import (
    AnyDescription,
    ConvertedGraph,
    Description,
    Ensemble,
    GraphDescription,
    Trees,
)

RUNNER = "runner"
"""The name of what answers where there is no engine: the model's own process."""


def short_name(description: AnyDescription) -> str:
    """Return one word: ``converted``, ``graph``, ``linear``, ``trees`` or ``ensemble``."""
    if isinstance(description, ConvertedGraph):
        return "converted"
    if isinstance(description, GraphDescription):
        return "graph"
    if any(isinstance(step, Ensemble) for step in description.steps):
        return "ensemble"
    return "trees" if isinstance(description.steps[-1], Trees) else "linear"


def way(description: AnyDescription) -> str:
    """Say how an engine answers, by numbers of rows, as was measured when it was made."""
    if isinstance(description, ConvertedGraph):
        return f"ONNX Runtime, within {description.tolerance:g} of the model and not identical"
    if isinstance(description, GraphDescription):
        return "ONNX Runtime"
    for step in description.steps:
        if isinstance(step, Ensemble):
            return f"{len(step.members)} engines, put together"
    last = description.steps[-1]
    return _way_of_trees(last) if isinstance(last, Trees) else "exact arithmetic"


def methods_of(description: AnyDescription) -> tuple[str, ...]:
    """Return the methods of the model that an engine answers."""
    if isinstance(description, ConvertedGraph):
        return tuple(method for method, _ in description.outputs)
    return description.methods if isinstance(description, Description) else ("predict",)


def tolerance_of(description: AnyDescription) -> float:
    """Return within what an engine's numbers are of the model's; 0 where they are the same."""
    return description.tolerance if isinstance(description, ConvertedGraph) else 0.0


def _way_of_trees(last: Trees) -> str:
    ways = {1: "walk", last.table_from_rows: "table of bits"}
    if last.compiled_from_rows:
        ways |= {last.compiled_from_rows: "compiled walk"}
        ways = {rows: name for rows, name in ways.items() if rows <= last.compiled_from_rows}
    ways.pop(0, None)
    first, *others = sorted(ways.items())
    return "; ".join([first[1], *(f"{name} from {rows} rows on" for rows, name in others)])
