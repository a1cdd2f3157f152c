"""The settings of overload and of health: what may wait, for how long, and when we are ready.

Part of the tree of ``gateway.settings``, which reads, checks and shows them.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

FIXED, ADAPTIVE = "fixed", "adaptive"
"""How the number of requests in a call is found."""

_Count = Annotated[int, Meta(ge=1)]
_Milliseconds = Annotated[int, Meta(ge=1)]


class OverloadSettings(Struct, frozen=True, kw_only=True):
    """What is refused at once instead of too late. Each limit is one of a worker."""

    max_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            description="Seconds a predict request may take in all, and the most that a caller "
            "may ask for; also `MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT`.",
        ),
    ] = 60.0
    max_queue_ms: Annotated[
        _Milliseconds,
        Meta(description="Predicted milliseconds a request may wait for its model."),
    ] = 2000
    standing_ms: Annotated[
        _Milliseconds,
        Meta(
            description="The same, for a while after it was too long for somebody: whoever is let "
            "in under overload is answered soon. Who goes in the very next call may always wait."
        ),
    ] = 100
    max_waiting: Annotated[_Count, Meta(description="Requests that wait for one version.")] = 1000
    max_call_ms: Annotated[
        _Milliseconds,
        Meta(
            description="Milliseconds that waiting requests share in one call of a model, judged "
            "by calls before; longer where most of a call does not depend on its rows."
        ),
    ] = 250
    concurrency: Annotated[
        str,
        Meta(
            description="How many requests a model's process answers at once: `fixed` at "
            "`max_concurrency`, or `adaptive` below it."
        ),
    ] = FIXED
    max_concurrency: Annotated[
        _Count, Meta(description="Requests that go in one call of a model at the most.")
    ] = 1024
    max_requests: Annotated[
        _Count,
        Meta(description="Predict requests held at once; one model alone gets half of them."),
    ] = 4000
    max_bytes: Annotated[
        _Count,
        Meta(description="Bytes of bodies held at once; one model alone gets half of them."),
    ] = 256 * 1024 * 1024


class HealthSettings(Struct, frozen=True, kw_only=True):
    """When a worker says that it is ready."""

    required_models: Annotated[
        tuple[str, ...],
        Meta(
            description="Models without which a worker is not ready: each must answer in "
            "Production; `*` means all that have a version there."
        ),
    ] = ()


def _check_mode(mode: str) -> None:
    if mode not in (FIXED, ADAPTIVE):
        raise ValueError("use fixed or adaptive")


CHECKS: Mapping[str, Callable[[Any], None]] = {"overload.concurrency": _check_mode}
"""What a value must meet besides its type; raises ``ValueError``."""

FIELD_VARIABLES: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": ("overload.max_timeout_s", str),
}
"""Variables of MLflow's server: which setting each sets, and what its text means there."""
