"""The points of metrics, as MLflow's clients and pages ask for them, in the thread pool."""

from litestar import get
from litestar.params import FromQuery

from gateway.api.dependencies import Tracking
from gateway.auth.policy import Permission
from tracking.wire import BulkHistory, MetricPage, PointSample

_PREFIX = "/api/2.0/mlflow/metrics"
_READ = {"permission": Permission.READ}


@get(f"{_PREFIX}/get-history", sync_to_thread=True, opt=_READ)
def metric_history(
    tracking: Tracking,
    metric_key: FromQuery[str],
    *,
    run_id: FromQuery[str] = "",
    run_uuid: FromQuery[str] = "",
    max_results: FromQuery[int] = 25_000,
    page_token: FromQuery[str | None] = None,
) -> MetricPage:
    """Return one page of the points of a metric, ordered by timestamp, step, value."""
    return tracking.metric_history(
        run_id or run_uuid, metric_key, max_results=max_results, page_token=page_token
    )


@get(f"{_PREFIX}/get-history-bulk", sync_to_thread=True, opt=_READ)
def bulk_history(
    tracking: Tracking,
    metric_key: FromQuery[str],
    *,
    run_id: FromQuery[list[str] | None] = None,
    max_results: FromQuery[int] = 25_000,
) -> BulkHistory:
    """Return the points of a metric in many runs, ordered by run, timestamp, step, value."""
    found = tracking.bulk_history(run_id or [], metric_key, max_results=max_results)
    return BulkHistory(metrics=found)


@get(f"{_PREFIX}/get-history-bulk-interval", sync_to_thread=True, opt=_READ)
def sample_history(
    tracking: Tracking,
    metric_key: FromQuery[str],
    *,
    run_ids: FromQuery[list[str] | None] = None,
    start_step: FromQuery[int | None] = None,
    end_step: FromQuery[int | None] = None,
    max_results: FromQuery[int] = 2_500,
) -> PointSample:
    """Return for each run about so many points of a metric, with the ends and all spikes."""
    found = tracking.sample_history(
        run_ids or [],
        metric_key,
        max_results=max_results,
        start_step=start_step,
        end_step=end_step,
    )
    return PointSample(metrics=found)


HANDLERS = [metric_history, bulk_history, sample_history]
