"""The settings of webhooks, and what MLflow's server calls the same things.

Part of the tree of ``gateway.settings``, which reads, checks and shows them.
"""

import base64
import ipaddress
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

HIDDEN = "***"
"""What is shown in place of a secret."""

_EVERY_NETWORK = "0.0.0.0/0,::/0"
_KEY_BYTES = 32


class WebhookSettings(Struct, frozen=True, kw_only=True):
    """Where webhooks may lead, and for how long they are tried."""

    allowed_schemes: Annotated[
        tuple[str, ...],
        Meta(
            description="Schemes that a URL may have, `https` or `http`; "
            "also `MLFLOW_WEBHOOK_ALLOWED_SCHEMES`."
        ),
    ] = ("https",)
    allowed_networks: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks that are allowed besides public addresses, `10.0.0.0/8`; "
            "`MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true` allows all."
        ),
    ] = ()
    encryption_keys: Annotated[
        tuple[str, ...],
        Meta(
            description="Fernet keys for the secrets of webhooks, the newest first; unset uses one "
            "that the database holds; also `MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY`."
        ),
    ] = ()
    timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            description="Seconds one attempt may take in all; also "
            "`MLFLOW_WEBHOOK_REQUEST_TIMEOUT`.",
        ),
    ] = 30.0
    give_up_after_s: Annotated[
        float, Meta(ge=0, description="Seconds after a change when it is tried no longer.")
    ] = 259_200.0
    poll_interval_ms: Annotated[
        int, Meta(ge=1, description="Milliseconds between two looks for something to deliver.")
    ] = 250


def is_secret(path: str) -> bool:
    """Say whether the value of a setting is shown to nobody."""
    return path in {"webhooks.encryption_keys", "tracing.headers"}


def _check_networks(networks: tuple[str, ...]) -> None:
    for network in networks:
        ipaddress.ip_network(network)


def _check_keys(keys: tuple[str, ...]) -> None:
    for key in keys:
        if len(base64.urlsafe_b64decode(key)) != _KEY_BYTES:
            raise ValueError("a Fernet key is 32 bytes in URL-safe base64")


def _check_schemes(schemes: tuple[str, ...]) -> None:
    if not schemes or set(schemes) - {"http", "https"}:
        raise ValueError("use https, or http,https")


def _networks_if(text: str) -> str:
    return _EVERY_NETWORK if text.strip().lower() in {"true", "1"} else ""


CHECKS: Mapping[str, Callable[[Any], None]] = {
    "webhooks.allowed_schemes": _check_schemes,
    "webhooks.allowed_networks": _check_networks,
    "webhooks.encryption_keys": _check_keys,
}
"""What a value must meet besides its type; raises ``ValueError``."""

FIELD_VARIABLES: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": ("webhooks.allowed_schemes", str),
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": ("webhooks.allowed_networks", _networks_if),
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": ("webhooks.encryption_keys", str),
    "MLFLOW_WEBHOOK_REQUEST_TIMEOUT": ("webhooks.timeout_s", str),
}
"""Variables of MLflow's server: which setting each sets, and what its text means there."""
