"""Metrics of the work inside: the phases of requests, calls of models, how far workers are.

Children are bound here; ``metrics`` shows these families with all others.
"""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from gateway.series import LATENCY_BUCKETS, NAMES, OTHER, REGISTRY, Bound

_ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)
_FAST_BUCKETS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, *LATENCY_BUCKETS)
"""An engine answers in microseconds."""

PHASE_DURATION = Histogram(
    "stagedoor_stage_duration_seconds",
    "Time in one phase of a predict request: queue, decode, predict, encode. Of a model's requests "
    "at most 20 a second in each worker are timed.",
    ("model", "phase"),
    buckets=_FAST_BUCKETS,
    registry=REGISTRY,
)
PREDICTIONS = Counter(
    "stagedoor_predictions_total",
    "Rows that models and engines were asked for.",
    ("model", "version"),
    registry=REGISTRY,
)
BATCH_SIZE = Histogram(
    "stagedoor_batch_size",
    "Rows of one call of a model or engine: waiting requests share calls.",
    ("model", "version"),
    buckets=_ROW_BUCKETS,
    registry=REGISTRY,
)
DIVERGENCE = Gauge(
    "stagedoor_route_divergence_seconds",
    "How long Staging and Production have not been what is served, or a worker has been behind, as "
    "seen by the worker that has seen it longest; 0 when all is well.",
    ("model",),
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
BEHIND = Gauge(
    "stagedoor_workers_behind",
    "Live workers, of all hosts, that have not published the committed epoch yet.",
    ("model",),
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
SPANS = Counter(
    "stagedoor_spans_total",
    "Spans of traces: exported, failed (the collector did not take them), dropped (too many wait).",
    ("outcome",),
    registry=REGISTRY,
)

FAMILIES: tuple[Counter | Gauge | Histogram, ...] = (
    PHASE_DURATION,
    PREDICTIONS,
    BATCH_SIZE,
    DIVERGENCE,
    BEHIND,
    SPANS,
)

phase_duration = Bound(PHASE_DURATION.labels)
predictions = Bound(PREDICTIONS.labels, has_version=True)
batch_size = Bound(BATCH_SIZE.labels, has_version=True)
_divergence = Bound(DIVERGENCE.labels)
_behind = Bound(BEHIND.labels)


def observe_phase(model: str, phase: str, seconds: float) -> None:
    """Note how long one phase of one request took."""
    phase_duration.use_soon((model, phase), lambda child: child.observe(seconds))


def observe_calls(model: str, version: str, sizes: Mapping[int, int]) -> None:
    """Count calls of a model.

    Args:
        model: Its name.
        version: Which version.
        sizes: How many calls had so many rows.
    """
    predictions(model, version).inc(sum(rows * calls for rows, calls in sizes.items()))
    histogram = batch_size(model, version)
    for rows, calls in sizes.items():
        _observe_many(histogram, rows, calls)


def observe_divergence(model: str, seconds: float) -> None:
    """Show for how long a model's stages have not been what is served; see ``observe_route``."""
    if NAMES.model(model) == OTHER:
        return
    _divergence(model).set(seconds)


def observe_behind(model: str, workers: int) -> None:
    """Show how many workers have not published a model's committed epoch."""
    if NAMES.model(model) == OTHER:
        return
    _behind(model).set(workers)


def observe_spans(outcome: str, count: int) -> None:
    """Count spans: ``exported``, ``failed`` or ``dropped``."""
    SPANS.labels(outcome).inc(count)


def _observe_many(histogram: Histogram, value: int, times: int) -> None:
    """Observe a value several times at the cost of once; its public method takes one at a time."""
    at = next(at for at, bound in enumerate(histogram._upper_bounds) if value <= bound)  # noqa: SLF001
    histogram._buckets[at].inc(times)  # noqa: SLF001
    histogram._sum.inc(value * times)  # noqa: SLF001
