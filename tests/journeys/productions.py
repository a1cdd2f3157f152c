"""Moves to Production and looks at who is there, written down with their times for the judge."""

import time

from tests.journeys.history import Moved, Seen
from tests.journeys.server import Server


def stages(server: Server, model: str) -> dict[str, str]:
    """Return the stage of each version of a model, as one answer tells them."""
    path = f"/api/2.0/mlflow/model-versions/search?filter=name%20%3D%20'{model}'"
    found = server.get(path).json()["model_versions"]
    return {version["version"]: version["current_stage"] for version in found}


def move(server: Server, model: str, version: str) -> Moved:
    """Move a version to Production as an MLflow client does."""
    begun_s = time.monotonic()
    status = server.transition(model, int(version), "Production").status
    return Moved(version, begun_s, time.monotonic(), status)


def look(server: Server, model: str) -> Seen:
    """Ask which versions are in Production."""
    begun_s = time.monotonic()
    found = stages(server, model)
    there = [version for version, stage in found.items() if stage == "Production"]
    return Seen(there, begun_s, time.monotonic())
