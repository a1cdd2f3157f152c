"""What people and metrics call the ways in which engines answer. Pure."""

from gateway.serving.engines.description import Description, GraphDescription, Trees

RUNNER = "runner"
"""The name of what answers where there is no engine: the model's own process."""


def short_name(description: Description | GraphDescription) -> str:
    """Return one word for an engine: ``graph``, ``linear`` or ``trees``."""
    if isinstance(description, GraphDescription):
        return "graph"
    return "trees" if isinstance(description.steps[-1], Trees) else "linear"


def way(description: Description | GraphDescription) -> str:
    """Say how an engine answers, by numbers of rows, as was measured when it was made."""
    if isinstance(description, GraphDescription):
        return "ONNX Runtime"
    last = description.steps[-1]
    if not isinstance(last, Trees):
        return "exact arithmetic"
    ways = {1: "walk", last.table_from_rows: "table of bits"}
    if last.compiled_from_rows:
        ways |= {last.compiled_from_rows: "compiled walk"}
        ways = {rows: name for rows, name in ways.items() if rows <= last.compiled_from_rows}
    ways.pop(0, None)
    first, *others = sorted(ways.items())
    return "; ".join([first[1], *(f"{name} from {rows} rows on" for rows, name in others)])


def methods_of(description: Description | GraphDescription) -> tuple[str, ...]:
    """Return the methods of the model that an engine answers."""
    return description.methods if isinstance(description, Description) else ("predict",)
