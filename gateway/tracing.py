"""Traces by OpenTelemetry: spans of watched requests, sent by a thread that nobody waits for.

``app.py`` makes a tracer where ``tracing.endpoint`` is set; ``watching`` asks it on the event loop.
A span is made when its request is over. What a collector does not take is counted and forgotten:
no request waits for it. The library is imported in the worker, at the start.
"""

import hashlib
import hmac
import importlib
import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from gateway.exemplars import EXEMPLARS
from gateway.probe import Ending, Probe
from gateway.trace_context import Parent
from gateway.tracing_settings import TracingSettings, parse_headers
from gateway.watching import Asking
from gateway.work_metrics import observe_spans
from tracking.errors import InvalidRequest, StagedoorError

_MOST_AT_ONCE = 512
_SEND_EVERY_S = 0.5
_LAST_WORDS_S = 2.0
_KEY_ID_CHARACTERS = 32
_SERVER_ERROR = 500
_LOG = logging.getLogger("stagedoor.tracing")
_FLAG_REASONS = {
    "hash": "split",
    "random": "split",
    "fallback_absent": "default",
    "fallback_error": "error",
}
"""Our reasons in the words of feature flags."""


class SpanSender:
    """Takes finished spans, and has a thread export them: to OpenTelemetry an exporter itself.

    Args:
        exporter: Sends a batch; may take its time, and may fail.
        max_waiting: Spans that wait; further ones are dropped.
        beside: What else the thread does now and then; never raises.
    """

    def __init__(
        self, exporter: Any, max_waiting: int, beside: Callable[[], None] = lambda: None
    ) -> None:
        self._exporter = exporter
        self._beside = beside
        self._waiting: queue.Queue[Any] = queue.Queue(max_waiting)
        self._is_stopping = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def export(self, spans: Iterable[Any]) -> None:
        """Take spans in, or drop them. Never waits."""
        for span in spans:
            try:
                self._waiting.put_nowait(span)
            except queue.Full:
                observe_spans("dropped", 1)

    def shutdown(self) -> None:
        """Send what waits, for a moment. Blocking."""
        self._is_stopping.set()
        self._thread.join(_LAST_WORDS_S)
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Say whether nothing waits."""
        del timeout_millis
        return self._waiting.empty()

    def _run(self) -> None:
        while not self._is_stopping.wait(_SEND_EVERY_S):
            self._beside()
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while batch := self._take():
            outcome = "exported" if self._export(batch) else "failed"
            observe_spans(outcome, len(batch))

    def _take(self) -> list[Any]:
        batch: list[Any] = []
        with suppress(queue.Empty):
            while len(batch) < _MOST_AT_ONCE:
                batch.append(self._waiting.get_nowait())
        return batch

    def _export(self, batch: list[Any]) -> bool:
        try:
            is_sent = bool(self._exporter.export(batch).name == "SUCCESS")
        except Exception:  # noqa: BLE001 - whatever it was, the next batch is tried
            is_sent = False
        if is_sent is self._is_failing:
            self._is_failing = not is_sent
            told = "takes spans again" if is_sent else "does not take spans; they are counted"
            _LOG.warning("the collector of traces %s", told)
        return is_sent


class OtelTracer:
    """Makes the spans of requests. One per worker, made on the event loop's thread.

    Args:
        settings: Where they go.
        worker: The worker's id.
        secret: Returns what makes ids of sticky keys; may fail, then keys have none.

    Raises:
        InvalidRequest: OpenTelemetry is not installed.
    """

    def __init__(self, settings: TracingSettings, worker: str, secret: Callable[[], bytes]) -> None:
        try:
            self._api = importlib.import_module("opentelemetry.trace")
            sdk = importlib.import_module("opentelemetry.sdk.trace")
            contexts = importlib.import_module("opentelemetry.context")
            simple = importlib.import_module("opentelemetry.sdk.trace.export")
            sampling = importlib.import_module("opentelemetry.sdk.trace.sampling")
            resources = importlib.import_module("opentelemetry.sdk.resources")
            otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        except ImportError as error:
            message = "tracing.endpoint is set, but OpenTelemetry is not installed: add "
            raise InvalidRequest(f"{message}stagedoor[otel].") from error
        _quiet()
        exporter = otlp.OTLPSpanExporter(
            endpoint=settings.endpoint,
            headers=parse_headers(settings.headers),
            timeout=settings.timeout_s,
        )
        told = {
            "service.name": "stagedoor",
            "service.version": version("stagedoor"),
            "service.instance.id": worker,
        }
        sender = SpanSender(exporter, settings.max_waiting_spans, EXEMPLARS.write)
        provider = sdk.TracerProvider(
            # Who is traced was decided before: by the caller, or by the ratio.
            sampler=sampling.ALWAYS_ON,
            resource=resources.Resource.create(told),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(simple.SimpleSpanProcessor(sender))
        self._provider = provider
        self._tracer = provider.get_tracer("stagedoor", version("stagedoor"))
        self._nowhere = contexts.Context()
        self._ratio = settings.ratio
        self._secret = _or_none(secret)
        self._chance = random.Random()  # noqa: S311 - a sample, not a secret

    def chooses(self) -> bool:
        """Decide whether a request that belongs to no trace yet begins one."""
        return self._chance.random() < self._ratio

    def record(self, asking: Asking, probe: Probe) -> int:
        """Make the spans of a request that is over; return the id of its trace."""
        ending = probe.ending
        if ending is None:
            return 0
        # Phases are told by a clock without a date.
        offset_ns = time.time_ns() - round(time.perf_counter() * 1e9)
        at = _Dated(offset_ns)
        span = self._tracer.start_span(
            asking.name,
            context=self._context(asking.parent),
            kind=self._api.SpanKind.SERVER,
            attributes=asking.attributes | _outcome_of(asking, ending),
            start_time=at(probe.started_s),
        )
        inside = self._api.set_span_in_context(span)
        for phase in probe.phases:
            child = self._tracer.start_span(
                phase.name, context=inside, start_time=at(phase.started_s)
            )
            child.end(at(phase.ended_s))
        if ending.is_split:
            span.add_event("feature_flag.evaluation", self._flag(ending), at(probe.started_s))
        if ending.status >= _SERVER_ERROR:
            span.set_status(self._api.StatusCode.ERROR)
        span.end()
        return int(span.get_span_context().trace_id)

    def close(self) -> None:
        """Send what waits, for a moment. Blocking."""
        self._provider.shutdown()

    def _context(self, parent: Parent | None) -> Any:
        if parent is None:
            return self._nowhere
        context = self._api.SpanContext(
            trace_id=parent.trace_id,
            span_id=parent.span_id,
            is_remote=True,
            trace_flags=self._api.TraceFlags(self._api.TraceFlags.SAMPLED),
            trace_state=self._api.TraceState(list(parent.state)),
        )
        return self._api.set_span_in_context(self._api.NonRecordingSpan(context))

    def _flag(self, ending: Ending) -> dict[str, Any]:
        """Describe the assignment of a request to a variant."""
        told: dict[str, Any] = {
            "feature_flag.key": f"{ending.model} traffic",
            "feature_flag.provider.name": "stagedoor",
            "feature_flag.result.variant": ending.variant,
            "feature_flag.result.reason": _FLAG_REASONS.get(ending.reason, "unknown"),
            "feature_flag.version": str(ending.epoch),
        }
        if ending.key and self._secret is not None:
            digest = hmac.digest(self._secret, b"trace\x1f" + ending.key, hashlib.sha256)
            told["feature_flag.context.id"] = digest.hex()[:_KEY_ID_CHARACTERS]
        return told


def start_tracing(
    settings: TracingSettings, worker: str, secret: Callable[[], bytes]
) -> OtelTracer | None:
    """Return what traces requests, where an endpoint is set; blocking."""
    if settings.endpoint is None:
        return None
    try:
        return OtelTracer(settings, worker, secret)
    except InvalidRequest as error:
        _LOG.error("nothing is traced: %s", error.message)
        return None


class _Dated:
    """Nanoseconds since the epoch, of seconds of ``time.perf_counter``."""

    def __init__(self, offset_ns: int) -> None:
        self._offset_ns = offset_ns

    def __call__(self, moment_s: float) -> int:
        return round(moment_s * 1e9) + self._offset_ns


def _outcome_of(asking: Asking, ending: Ending) -> dict[str, Any]:
    """Return what is known of a request once it is over."""
    told: dict[str, Any] = {"stagedoor.request_id": ending.request_id}
    if "rpc.method" in asking.attributes:
        told["rpc.response.status_code"] = ending.rpc_status
    else:
        told["http.response.status_code"] = int(ending.status)
    if ending.code:
        told["error.type"] = ending.code
    if ending.model:
        told |= {
            "stagedoor.model": ending.model,
            "stagedoor.version": ending.version,
            "stagedoor.variant": ending.variant,
            "stagedoor.reason": ending.reason,
            "stagedoor.epoch": ending.epoch,
        }
    if ending.fallback:
        told["stagedoor.fallback"] = ending.fallback
    return told


def _or_none(secret: Callable[[], bytes]) -> bytes | None:
    try:
        return secret()
    except StagedoorError as error:
        _LOG.warning("sticky keys have no ids in traces: %s", error.message)
        return None


def _quiet() -> None:
    """Let the library not log each batch that fails: the sender says it once, and counts."""
    for name in ("opentelemetry.exporter", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
