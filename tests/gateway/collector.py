"""A small collector of traces: takes OTLP over HTTP, decodes it, and keeps the spans."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Listens on a free port while in a ``with`` block.

    Args:
        status: What it answers with; anything but 200 keeps no span.
    """

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take({k.lower(): v for k, v in self.headers.items()}, body)
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, headers: dict[str, str], body: bytes) -> None:
        self.headers.append(headers)
        if self.status != 200:
            return
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(told(group.resource.attributes))
            for scope in group.scope_spans:
                self.spans += scope.spans

    def roots(self, trace_id: str = "") -> list[Any]:
        """Return the spans of requests, of one trace or of all."""
        return [
            span
            for span in self.spans
            if span.kind == span.SPAN_KIND_SERVER and span.trace_id.hex().startswith(trace_id)
        ]

    def children(self, root: Any) -> list[Any]:
        """Return the spans beneath one, in the order of their beginnings."""
        found = [span for span in self.spans if span.parent_span_id == root.span_id]
        return sorted(found, key=lambda span: span.start_time_unix_nano)


def told(attributes: Any) -> dict[str, Any]:
    """Return attributes as a dict."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
