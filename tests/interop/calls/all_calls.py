"""All calls to one server, in order: what the comparison with MLflow's own server rests on."""

from typing import Any

from tests.interop.calls import (
    artifacts,
    bodies,
    experiments,
    logged_models,
    registry,
    run_searches,
    runs,
)
from tests.interop.calls.recorder import Recorder

_PARTS = (experiments, runs, run_searches, registry, logged_models, artifacts, bodies)


def call_everything(url: str) -> dict[str, dict[str, Any]]:
    """Call a fresh server, and return its answers by the name of the call."""
    recorder = Recorder(url)
    for part in _PARTS:
        part.call_all(recorder)
    recorder.close()
    return recorder.answers
