"""What the groups of settings that have modules of their own ask for, gathered for the tree."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from gateway import (
    environment_settings,
    holding_settings,
    overload_settings,
    quota_settings,
    tracing_settings,
    webhook_settings,
)
from registry.references import parse_model_uri
from tracking.errors import InvalidRequest

_GROUPS = (
    *(environment_settings, holding_settings, overload_settings, quota_settings),
    *(tracing_settings, webhook_settings),
)


def _check_default_model(uri: str | None) -> None:
    if uri:
        try:
            parse_model_uri(uri)
        except InvalidRequest as error:
            raise ValueError(error.message.rstrip(".")) from error


def _check_log_level(level: str) -> None:
    known = logging.getLevelNamesMapping()
    if level.upper() not in known:
        raise ValueError(f"use one of {', '.join(known)}")


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "server.default_model": _check_default_model,
    "server.log_level": _check_log_level,
    **{path: check for group in _GROUPS for path, check in group.CHECKS.items()},
}
"""What a value must meet besides its type; raises ``ValueError``."""

FIELD_VARIABLES = {**webhook_settings.FIELD_VARIABLES, **overload_settings.FIELD_VARIABLES}
