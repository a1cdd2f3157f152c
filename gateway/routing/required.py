"""Whether the models that a server must not be without can answer here. Pure.

Asked by readiness probes, over the snapshot of routes.
"""

from collections.abc import Callable, Iterable

from gateway.routing.table import ModelRoute, RouteTable
from registry.route import VersionKey

EVERY = "*"
"""Stands for every model that has a version in Production."""


def why_unready(
    table: RouteTable, required: Iterable[str], is_ready: Callable[[VersionKey], bool]
) -> str:
    """Say in a sentence which required model cannot answer, and why; empty when all can.

    Args:
        table: The snapshot.
        required: Names of models, or ``*``.
        is_ready: Whether a version can answer here and now.
    """
    for name in required:
        entries = _entries(table, name)
        if not entries and name != EVERY:
            return f"model {name!r} is required and has no version in Production"
        for entry in entries:
            record = entry.records.get(entry.route.production or 0)
            if record is None or not is_ready(record.key):
                version = entry.route.production
                return f"model {entry.model!r} is required; its version {version} is not ready here"
    return ""


def _entries(table: RouteTable, name: str) -> list[ModelRoute]:
    """Return the models of that name with a version in Production."""
    if name == EVERY:
        # What is loaded only for who asks is not waited for.
        held = (
            entry for entry in table.models.values() if entry.is_held(entry.route.production or 0)
        )
        return [entry for entry in held if entry.route.production]
    entry = table.models.get(name)
    return [entry] if entry is not None and entry.route.production else []
