"""The page for Prometheus in OpenMetrics, which alone has room for exemplars.

Called by ``api/metrics`` in a thread. What is counted is ``metrics``' business.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

from gateway.exemplars import newest
from gateway.metrics import REQUEST_DURATION, scrape
from gateway.series import LATENCY_BUCKETS

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_MEDIA_TYPE = OPENMETRICS.partition(";")[0]
_PLAIN = "text/plain"
_BOUNDS = [
    str(floatToGoString(bound))  # type: ignore[no-untyped-call]
    for bound in (*LATENCY_BUCKETS, float("inf"))
]
_FAMILY, _LABELS = REQUEST_DURATION._name, REQUEST_DURATION._labelnames  # noqa: SLF001 - told nowhere else


def prefers_openmetrics(accept: str) -> bool:
    """Decide by an ``Accept`` header whether a scraper would rather have OpenMetrics than text."""
    wanted = {_MEDIA_TYPE: 0.0, _PLAIN: 0.0}
    for media_range in accept.lower().split(","):
        name, *parameters = (part.strip() for part in media_range.split(";"))
        if name in wanted:
            wanted[name] = max(wanted[name], _quality(parameters))
    return wanted[_MEDIA_TYPE] > 0.0 and wanted[_MEDIA_TYPE] >= wanted[_PLAIN]


def scrape_openmetrics() -> bytes:
    """Return the page, with the exemplars there are."""
    return scrape(_render)


def _render(registry: CollectorRegistry) -> bytes:
    page: bytes = generate_latest(_WithExemplars(registry))  # type: ignore[no-untyped-call]
    return page


class _WithExemplars(Collector):
    """What another collects, with exemplars where there are some."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        """Collect, and add what was traced."""
        for metric in self._registry.collect():
            if metric.name == _FAMILY:
                metric.samples = list(_exemplified(metric.samples))
            yield metric


def _exemplified(samples: Iterable[Sample]) -> Iterator[Sample]:
    found = {
        (series, _BOUNDS[bucket]): Exemplar(
            {"trace_id": one.trace_id}, one.seconds, one.at_ms / 1e3
        )
        for (series, bucket), one in newest().items()
    }
    for sample in samples:
        series = tuple(sample.labels.get(name, "") for name in _LABELS)
        exemplar = found.get((series, sample.labels.get("le", "")))
        yield sample if exemplar is None else sample._replace(exemplar=exemplar)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
