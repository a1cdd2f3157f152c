"""What the groups of settings that have modules of their own ask for, gathered for the tree."""

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

_GROUPS = (
    *(environment_settings, holding_settings, overload_settings, quota_settings),
    *(tracing_settings, webhook_settings),
)

CHECKS: Mapping[str, Callable[[Any], Any]] = {
    path: check for group in _GROUPS for path, check in group.CHECKS.items()
}
FIELD_VARIABLES = {**webhook_settings.FIELD_VARIABLES, **overload_settings.FIELD_VARIABLES}
