"""What the metrics say of queues: how many wait, for how long, and who got no answer for it.

Counted on the event loop of each worker; ``metrics`` puts them on its page.
"""

from prometheus_client import Counter, Gauge

from gateway.series import Bound

QUEUE_DEPTH = Gauge(
    "stagedoor_queue_depth",
    "Predict requests that wait for a model, but for those in its call.",
    ("model",),
    multiprocess_mode="livesum",
    registry=None,
)
QUEUE_AGE = Gauge(
    "stagedoor_queue_age_seconds",
    "How long the one that waits longest for a model has waited.",
    ("model",),
    multiprocess_mode="livemax",
    registry=None,
)
CONCURRENCY_LIMIT = Gauge(
    "stagedoor_concurrency_limit",
    "Predict requests that the processes of a model answer at once, at the most.",
    ("model",),
    multiprocess_mode="livesum",
    registry=None,
)
DEADLINE_EXCEEDED = Counter(
    "stagedoor_deadline_exceeded_total",
    "Predict requests whose time was over before they were executed (waiting), or while (running).",
    ("model", "reason"),
    registry=None,
)
CANCELLED = Counter(
    "stagedoor_cancelled_total",
    "Predict requests whose caller left before the answer.",
    ("model", "reason"),
    registry=None,
)

QUEUE_METRICS: tuple[Gauge | Counter, ...] = (
    QUEUE_DEPTH,
    QUEUE_AGE,
    CONCURRENCY_LIMIT,
    DEADLINE_EXCEEDED,
    CANCELLED,
)

_depth = Bound(QUEUE_DEPTH.labels)
_age = Bound(QUEUE_AGE.labels)
_limit = Bound(CONCURRENCY_LIMIT.labels)
_deadline_exceeded = Bound(DEADLINE_EXCEEDED.labels)
_cancelled = Bound(CANCELLED.labels)


class QueueGauges:
    """What is shown of the queue of one version of a model. Event loop only.

    Versions of a model share a series, so each adds and takes away what is its own.

    Args:
        model: Whose.
    """

    def __init__(self, model: str) -> None:
        self._depth = _depth(model)
        self._limit = _limit(model)
        self._age = _age(model)
        self._shown_depth = 0
        self._shown_limit = 0

    def show(self, depth: int, age_s: float, limit: int) -> None:
        """Show how many wait, how long the first has, and how many go at once."""
        if depth != self._shown_depth:
            self._depth.inc(depth - self._shown_depth)
            self._shown_depth = depth
        if limit != self._shown_limit:
            self._limit.inc(limit - self._shown_limit)
            self._shown_limit = limit
        self._age.set(age_s)


def observe_deadline_exceeded(model: str, reason: str) -> None:
    """Count one request whose time was over: ``waiting`` or ``running``."""
    _deadline_exceeded(model, reason).inc()


def observe_cancelled(model: str, reason: str) -> None:
    """Count one request whose caller has left: ``disconnected`` (HTTP) or ``cancelled`` (gRPC)."""
    _cancelled(model, reason).inc()
