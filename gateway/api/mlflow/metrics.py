"""The history of a metric, as MLflow's clients ask for it. Handlers run in the thread pool."""

from litestar import get
from litestar.params import FromQuery

from gateway.api.dependencies import Tracking
from gateway.auth.policy import Permission
from tracking.wire import MetricPage


@get(
    "/api/2.0/mlflow/metrics/get-history",
    sync_to_thread=True,
    opt={"permission": Permission.READ},
)
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


HANDLERS = [metric_history]
