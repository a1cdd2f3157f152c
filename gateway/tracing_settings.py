"""The settings of traces. Part of the tree of ``gateway.settings``, which reads and shows them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct


class TracingSettings(Struct, frozen=True, kw_only=True):
    """Where traces go, and which requests are traced."""

    endpoint: Annotated[
        str | None,
        Meta(
            description="OTLP over HTTP, `http://collector:4318/v1/traces`; unset traces nothing. "
            "Needs `stagedoor[otel]`."
        ),
    ] = None
    ratio: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of requests that begin a trace, of those that bring none; one that "
            "brings `traceparent` is traced if its caller records it.",
        ),
    ] = 0.01
    headers: Annotated[
        tuple[str, ...],
        Meta(description="Headers for the collector, `authorization=Bearer …`."),
    ] = ()
    timeout_s: Annotated[
        float, Meta(gt=0, description="Seconds that the collector has to take a batch of spans.")
    ] = 5.0
    max_waiting_spans: Annotated[
        int, Meta(ge=1, description="Spans that wait to be sent; further ones are dropped.")
    ] = 4096


def parse_headers(pairs: tuple[str, ...]) -> dict[str, str]:
    """Read ``name=value`` pairs.

    Raises:
        ValueError: One is no such pair; what it says is not told.
    """
    parted = [pair.partition("=") for pair in pairs]
    if not all(name.strip() and sign for name, sign, _ in parted):
        raise ValueError("use name=value")
    return {name.strip().lower(): value.strip() for name, _, value in parted}


def _check_endpoint(endpoint: str | None) -> None:
    if endpoint is None:
        return
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("use http://host:4318/v1/traces, or https")


def _check_headers(pairs: tuple[str, ...]) -> None:
    parse_headers(pairs)


CHECKS: Mapping[str, Callable[[Any], None]] = {
    "tracing.endpoint": _check_endpoint,
    "tracing.headers": _check_headers,
}
"""What a value must meet besides its type; raises ``ValueError``."""
