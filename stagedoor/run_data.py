"""Metrics, params and tags of the active run; without one, a run is started."""

from collections.abc import Mapping
from typing import Any

from stagedoor.entities import tag_list
from stagedoor.runs import ensure_run
from stagedoor.tracking_client import make_metric
from tracking.wire import Param


def log_metric(
    key: str, value: float, step: int | None = None, timestamp: int | None = None
) -> None:
    """Add a point to a metric of the active run.

    Args:
        key: The metric.
        value: A number; NaN and infinities are fine.
        step: 0 when not given.
        timestamp: Milliseconds since the epoch; now when not given.
    """
    run = ensure_run()
    metric = make_metric(key, value, step=step, timestamp=timestamp)
    run.client.log_batch(run.info.run_id, metrics=[metric])


def log_metrics(
    metrics: Mapping[str, float], step: int | None = None, timestamp: int | None = None
) -> None:
    """Add a point to each of several metrics of the active run."""
    run = ensure_run()
    points = [
        make_metric(key, value, step=step, timestamp=timestamp) for key, value in metrics.items()
    ]
    run.client.log_batch(run.info.run_id, metrics=points)


def log_param(key: str, value: Any) -> Any:
    """Write a param of the active run and return its value; it cannot become another later."""
    log_params({key: value})
    return value


def log_params(params: Mapping[str, Any]) -> None:
    """Write several params of the active run."""
    run = ensure_run()
    entries = [Param(key=key, value=str(value)) for key, value in params.items()]
    run.client.log_batch(run.info.run_id, params=entries)


def set_tag(key: str, value: Any) -> None:
    """Set or overwrite a tag of the active run."""
    set_tags({key: value})


def set_tags(tags: Mapping[str, Any]) -> None:
    """Set or overwrite several tags of the active run."""
    run = ensure_run()
    run.client.log_batch(run.info.run_id, tags=tag_list(tags))
