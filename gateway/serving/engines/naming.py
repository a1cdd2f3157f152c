"""What people and metrics call the ways in which engines answer. Pure."""

from gateway.serving.engines.description import Description, Ensemble, GraphDescription, Trees

RUNNER = "runner"
"""The name of what answers where there is no engine: the model's own process."""


def short_name(description: Description | GraphDescription) -> str:
    """Return one word for an engine: ``graph``, ``linear``, ``trees`` or ``ensemble``."""
    if isinstance(description, GraphDescription):
        return "graph"
    if any(isinstance(step, Ensemble) for step in description.steps):
        return "ensemble"
    return "trees" if isinstance(description.steps[-1], Trees) else "linear"


def way(description: Description | GraphDescription) -> str:
    """Say how an engine answers, by numbers of rows, as was measured when it was made."""
    if isinstance(description, GraphDescription):
        return "ONNX Runtime"
    for step in description.steps:
        if isinstance(step, Ensemble):
            return f"{len(step.members)} engines, put together"
    last = description.steps[-1]
    return _way_of_trees(last) if isinstance(last, Trees) else "exact arithmetic"


def methods_of(description: Description | GraphDescription) -> tuple[str, ...]:
    """Return the methods of the model that an engine answers."""
    return description.methods if isinstance(description, Description) else ("predict",)


def _way_of_trees(last: Trees) -> str:
    ways = {1: "walk", last.table_from_rows: "table of bits"}
    if last.compiled_from_rows:
        ways |= {last.compiled_from_rows: "compiled walk"}
        ways = {rows: name for rows, name in ways.items() if rows <= last.compiled_from_rows}
    ways.pop(0, None)
    first, *others = sorted(ways.items())
    return "; ".join([first[1], *(f"{name} from {rows} rows on" for rows, name in others)])
