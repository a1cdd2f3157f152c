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
    match last.table_from_rows:
        case 0:
            return "walk"
        case 1:
            return "table of bits"
        case rows:
            return f"walk; table of bits from {rows} rows on"


def methods_of(description: Description | GraphDescription) -> tuple[str, ...]:
    """Return the methods of the model that an engine answers."""
    return description.methods if isinstance(description, Description) else ("predict",)
