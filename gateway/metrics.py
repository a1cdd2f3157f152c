"""The server's metrics: what is counted, by whom, and how workers' counts become one page.

Counted on the loop and on the manager's thread; any thread may. With several workers each counts
into files of its own (``settings.prepare_metrics_folder``), ``scrape`` adds them up in whichever
worker is asked, and the supervisor folds the files of a dead worker into one that stays, so that a
counter never falls. Label values are bounded: no key, user or path.
"""

import fcntl
import logging
import os
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from gateway import exemplars
from gateway.memory_metrics import MEMORY_METRICS
from gateway.probe import PROBE
from gateway.queue_metrics import QUEUE_METRICS
from gateway.series import LATENCY_BUCKETS, NAMES, OTHER, REGISTRY, Bound
from gateway.settings import metrics_folder
from gateway.work_metrics import FAMILIES

CONTENT_TYPE = "text/plain; version=0.0.4"
_FOLDED = "folded"
_SUMMED_TYPES = ("counter", "histogram")
_LOCK_FILE = ".fold.lock"
_LOG = logging.getLogger("stagedoor.metrics")

_LOAD_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

REQUESTS = Counter(
    "stagedoor_requests_total",
    "Predict requests answered, by the code they were answered with.",
    ("model", "version", "variant", "protocol", "code"),
    registry=REGISTRY,
)
REQUEST_DURATION = Histogram(
    "stagedoor_request_duration_seconds",
    "Time from a predict request's head to the last byte of its answer.",
    ("model", "version", "variant", "protocol"),
    buckets=LATENCY_BUCKETS,
    registry=REGISTRY,
)
INFLIGHT = Gauge(
    "stagedoor_inflight_requests",
    "Predict requests being answered now.",
    ("model",),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
ASSIGNMENTS = Counter(
    "stagedoor_assignments_total",
    "Predict requests by the variant they were assigned to, and why.",
    ("model", "experiment", "variant", "reason"),
    registry=REGISTRY,
)
SHED = Counter(
    "stagedoor_shed_total",
    "Predict requests turned away because of load, draining or a model that is not ready.",
    ("model", "reason"),
    registry=REGISTRY,
)
FALLBACK = Counter(
    "stagedoor_fallback_total",
    "Predict requests that stable answered in place of the candidate.",
    ("model", "reason"),
    registry=REGISTRY,
)
ROUTE_EPOCH = Gauge(
    "stagedoor_route_epoch",
    "Epoch of the route that every living worker has reached.",
    ("model",),
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
VARIANT_WEIGHT = Gauge(
    "stagedoor_variant_weight",
    "Share of a model's traffic, 0 to 1: as the route has it (desired), as it is (effective).",
    ("model", "variant", "kind"),
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
MODEL_STATE = Gauge(
    "stagedoor_model_state",
    "Living workers that hold the version in this state.",
    ("model", "version", "state"),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
ENGINE_INFO = Gauge(
    "stagedoor_engine_info",
    "Living workers in which this answers the version: linear, trees, ensemble, graph (engines), "
    "converted (an engine within a tolerance), runner.",
    ("model", "version", "engine"),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
RELOADS = Counter(
    "stagedoor_reloads_total",
    "Versions brought to READY, by each worker that did.",
    ("model",),
    registry=REGISTRY,
)
LOAD_FAILURES = Counter(
    "stagedoor_load_failures_total",
    "Loads that failed, by the phase reached and by whether a retry may help.",
    ("model", "phase", "class"),
    registry=REGISTRY,
)
LOAD_DURATION = Histogram(
    "stagedoor_load_duration_seconds",
    "Time that one phase of a load took.",
    ("model", "phase"),
    buckets=_LOAD_BUCKETS,
    registry=REGISTRY,
)
WEBHOOK_DELIVERIES = Counter(
    "stagedoor_webhook_deliveries_total",
    "Deliveries to webhooks: delivered, failed (an attempt that is followed by another), given_up.",
    ("outcome",),
    registry=REGISTRY,
)
WEBHOOK_QUEUE = Gauge(
    "stagedoor_webhook_queue",
    "Deliveries that wait (pending), and that were dropped because too many did (dropped), for all "
    "webhooks there are.",
    ("state",),
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)


ALL: tuple[Counter | Gauge | Histogram, ...] = (
    REQUESTS,
    REQUEST_DURATION,
    INFLIGHT,
    ASSIGNMENTS,
    SHED,
    FALLBACK,
    ROUTE_EPOCH,
    VARIANT_WEIGHT,
    MODEL_STATE,
    ENGINE_INFO,
    RELOADS,
    LOAD_FAILURES,
    LOAD_DURATION,
    WEBHOOK_DELIVERIES,
    WEBHOOK_QUEUE,
    *FAMILIES,
    *QUEUE_METRICS,
    *MEMORY_METRICS,
)
for _metric in (*QUEUE_METRICS, *MEMORY_METRICS):
    REGISTRY.register(_metric)


class RequestLabels(Struct, frozen=True):
    """What a predict request is counted under.

    Args:
        model: The registered name, or an empty text when the request named none that exists.
        version: The number that answered, or an empty text.
        variant: ``stable``, ``candidate``, or an empty text when the caller named the version.
        protocol: ``mlflow`` or ``rest-oip``.
    """

    model: str
    version: str
    variant: str
    protocol: str


request_count = Bound(REQUESTS.labels, has_version=True)
request_duration = Bound(REQUEST_DURATION.labels, has_version=True)
assignment_count = Bound(ASSIGNMENTS.labels)
_fallback = Bound(FALLBACK.labels)
_shed = Bound(SHED.labels)
inflight = Bound(INFLIGHT.labels)
_state_names: dict[tuple[str, str], tuple[str, str]] = {}
_load_failures = Bound(LOAD_FAILURES.labels)
_load_duration = Bound(LOAD_DURATION.labels)
_reloads = Bound(RELOADS.labels)


def observe_request(labels: RequestLabels, code: str, seconds: float) -> None:
    """Count one answered predict request.

    Args:
        labels: What it is counted under.
        code: The HTTP status as text.
        seconds: How long it took.
    """
    series = (labels.model, labels.version, labels.variant, labels.protocol)
    request_count(*series, code).inc()
    duration = request_duration(*series)
    duration.observe(seconds)
    if (probe := PROBE.get()) is not None:
        probe.timed = (duration._labelvalues, seconds)  # noqa: SLF001 - told nowhere else


def observe_assignment(model: str, variant: str, reason: str, experiment: str = "") -> None:
    """Count one assignment of a request to a variant."""
    assignment_count(model, experiment, variant, reason).inc()


def observe_fallback(model: str, reason: str) -> None:
    """Count one request that stable answered in place of the candidate."""
    _fallback(model, reason).inc()


def observe_state(model: str, version: str, before: str, after: str) -> None:
    """Move a version from one state to another; an empty text is the state of what is not there."""
    key = (model, version)
    shown = _state_names[key] = shown_names(model, version)
    if before:
        MODEL_STATE.labels(*shown, before).dec()
    if after:
        MODEL_STATE.labels(*shown, after).inc()
    else:
        del _state_names[key]
        NAMES.forget(model, version)


def shown_names(model: str, version: str) -> tuple[str, str]:
    """Return what a version that is here is called in labels; the same until it is gone.

    What was added under a name is taken away under the same one.
    """
    return _state_names.get((model, version)) or NAMES.version(model, version)


def observe_engine(model: str, version: str, engine: str, *, is_there: bool) -> None:
    """Show that an engine answers a version, or no longer does; of those that have a name here."""
    key = (model, version)
    if _state_names.get(key, key) == key:
        ENGINE_INFO.labels(model, version, engine).set(is_there)


def observe_load_failure(model: str, phase: str, kind: str) -> None:
    """Count a load that failed.

    Args:
        model: Whose version it was.
        phase: The state in which it failed.
        kind: ``transient`` or ``permanent``.
    """
    _load_failures(model, phase, kind).inc()


def observe_load_phase(model: str, phase: str, seconds: float) -> None:
    """Note how long one phase of a load took."""
    _load_duration(model, phase).observe(seconds)


def observe_reload(model: str) -> None:
    """Count one version brought to READY."""
    _reloads(model).inc()


def expect_deliveries() -> None:
    """Count each outcome of a delivery from 0 on, so that its first time is a rise, too."""
    for outcome in ("delivered", "failed", "given_up"):
        WEBHOOK_DELIVERIES.labels(outcome)


def observe_delivery(outcome: str) -> None:
    """Count one attempt to deliver: ``delivered``, ``failed`` or ``given_up``."""
    WEBHOOK_DELIVERIES.labels(outcome).inc()


def observe_waiting(pending: int, dropped: int) -> None:
    """Show how many deliveries wait, and how many went for want of room."""
    WEBHOOK_QUEUE.labels("pending").set(pending)
    WEBHOOK_QUEUE.labels("dropped").set(dropped)


def observe_shed(model: str, reason: str) -> None:
    """Count one predict request that was turned away."""
    _shed(model, reason).inc()


def observe_route(model: str, epoch: int, weights: Mapping[str, tuple[float, float]]) -> None:
    """Show the route that this worker has published; not that of a model without own series.

    Args:
        model: Whose route.
        epoch: Its epoch.
        weights: By variant, the share it should have and the share it has, 0 to 1.
    """
    if NAMES.model(model) == OTHER:
        return
    ROUTE_EPOCH.labels(model).set(epoch)
    for variant, (desired, effective) in weights.items():
        VARIANT_WEIGHT.labels(model, variant, "desired").set(desired)
        VARIANT_WEIGHT.labels(model, variant, "effective").set(effective)


def scrape(render: Callable[[CollectorRegistry], bytes] = generate_latest) -> bytes:
    """Return the page for Prometheus: of all workers, or of this process if it is on its own."""
    folder = metrics_folder()
    if folder is None:
        return render(REGISTRY)
    merged = CollectorRegistry()
    merged.register(_Workers(folder))
    with _locked(folder, fcntl.LOCK_SH):
        return render(merged)


class _Workers(Collector):
    """The counts of all workers; a file that its worker has only just made holds none yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Add up what is in the files; what nobody has counted yet is named all the same."""
        files = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        families = {family.name: family for metric in ALL for family in metric.describe()}
        return (families | {family.name: family for family in merged}).values()


def fold(folder: Path, pid: int) -> None:
    """Add the counts of a dead process to those that stay, and drop what only lived with it.

    Nobody sees a page in between: a scrape holds the same lock.
    """
    with _locked(folder, fcntl.LOCK_EX):
        for kind in _SUMMED_TYPES:
            _fold_file(folder / f"{kind}_{pid}.db", folder / f"{kind}_{_FOLDED}.db")
        mark_process_dead(pid, path=str(folder))  # type: ignore[no-untyped-call]
        exemplars.forget(folder, pid)


def metrics_page() -> str:
    """Return ``docs/metrics.md``: ``python -m gateway.metrics > docs/metrics.md`` writes it."""
    lines = [
        "# Metrics",
        "",
        "`/metrics` adds up all workers of a server; with auth on it takes a token.",
        "Counters never fall when a worker dies; gauges count living workers only.",
        "A scraper that prefers `application/openmetrics-text` gets that.",
        "Traced requests are exemplars there, in `stagedoor_request_duration_seconds`.",
        "This page is printed by `python -m gateway.metrics`; a test compares the two.",
        "",
        "| name | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in ALL:
        described = next(iter(metric.describe()))
        name = described.name + ("_total" if described.type == "counter" else "")
        labels = ", ".join(metric._labelnames)  # noqa: SLF001 - told nowhere else
        lines.append(f"| `{name}` | {described.type} | {labels} | {described.documentation} |")
    return "\n".join(lines) + "\n"


def _fold_file(source: Path, target: Path) -> None:
    if not source.exists():
        return
    try:
        counted = list(MmapedDict.read_all_values_from_file(str(source)))  # type: ignore[no-untyped-call]
    except (RuntimeError, struct.error) as error:
        _LOG.warning("counts of a worker killed while it made its file are lost: %s", error)
        counted = []
    sums = MmapedDict(str(target))  # type: ignore[no-untyped-call]
    for key, value, _timestamp, _position in counted:
        before, _ = sums.read_value(key)  # type: ignore[no-untyped-call]
        sums.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]
    sums.close()  # type: ignore[no-untyped-call]
    source.unlink()


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    descriptor = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.stdout.write(metrics_page())
