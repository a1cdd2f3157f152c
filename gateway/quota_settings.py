"""The settings of quotas: how much one client may ask for.

Part of the tree of ``gateway.settings``, which reads, checks and shows them.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct


class QuotaSettings(Struct, frozen=True, kw_only=True):
    """What one client may ask of each worker."""

    requests_per_s: Annotated[
        float,
        Meta(
            ge=0,
            description="Predict requests a second that one client may make of each worker; 0 for "
            "as many as it likes. Who has more gets 429.",
        ),
    ] = 0.0
    burst: Annotated[
        int,
        Meta(
            ge=1, description="Requests that a client may make at once, when it made none before."
        ),
    ] = 100
    models: Annotated[
        tuple[str, ...],
        Meta(
            description="Models with a rate of their own for each client, as `name=5`; these "
            "requests do not count for `requests_per_s`."
        ),
    ] = ()


def rates_of(models: tuple[str, ...]) -> dict[str, float]:
    """Return the rate of each model that has one of its own.

    Raises:
        ValueError: Something else stands there.
    """
    rates = {}
    for told in models:
        name, _, rate = told.rpartition("=")
        if not name or float(rate) < 0:
            raise ValueError("write name=requests_per_s")
        rates[name] = float(rate)
    return rates


CHECKS: Mapping[str, Callable[[Any], Any]] = {"quota.models": rates_of}
"""What a value must meet besides its type; raises ``ValueError``."""
