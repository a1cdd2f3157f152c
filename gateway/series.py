"""Which series there are: the registry of metrics, their buckets, and a bound on label values.

``metrics`` and ``work_metrics`` define their families on it. A caller cannot grow the page without
end: beyond 200 models, 4 versions each at a time, or a cap on sets of values, new ones share a
series.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry

OTHER = "_other"
MAX_MODELS = 200
MAX_VERSIONS = 4
"""Of one model, at the same time."""
MAX_SERIES = 4096

# OpenTelemetry's boundaries for HTTP, extended downwards. Seconds.
LATENCY_BUCKETS = tuple(
    ms / 1000
    for ms in (1, 2.5, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000)
)

REGISTRY = CollectorRegistry()


class Names:
    """Models and versions that have series of their own. Safe from any thread.

    Args:
        max_models: How many models have.
        max_versions: How many versions of one model have.
    """

    def __init__(self, max_models: int = MAX_MODELS, max_versions: int = MAX_VERSIONS) -> None:
        self._max_models = max_models
        self._max_versions = max_versions
        self._versions: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def model(self, model: str) -> str:
        """Return what a model is called in a label."""
        return self.version(model, "")[0]

    def version(self, model: str, version: str) -> tuple[str, str]:
        """Return what a model and a version of it are called in labels; empty ones stay so."""
        if not model:
            return model, version
        with self._lock:
            versions = self._versions.get(model)
            if versions is None:
                if len(self._versions) >= self._max_models:
                    return OTHER, OTHER if version else ""
                versions = self._versions[model] = set()
            if not version or version in versions:
                return model, version
            if len(versions) >= self._max_versions:
                return model, OTHER
            versions.add(version)
            return model, version

    def forget(self, model: str, version: str) -> None:
        """Give the place of a version that is here no more to another one."""
        with self._lock:
            versions = self._versions.get(model, set())
            versions.discard(version)
            if not versions:
                self._versions.pop(model, None)


NAMES = Names()
"""Those of this process, for all families."""


class Bound:
    """Children of metrics by label values, found once. Safe from any thread.

    Beyond ``max_series`` sets of values, or what ``names`` has room for, new ones share a series.

    Args:
        bind: Makes the children for a set of label values; the first value is the model.
        has_version: Whether the second value is a version.
        names: Which models and versions have series of their own.
        max_series: How many sets of values are kept apart.
    """

    def __init__(
        self,
        bind: Callable[..., Any],
        *,
        has_version: bool = False,
        names: Names = NAMES,
        max_series: int = MAX_SERIES,
    ) -> None:
        self._bind = bind
        self._has_version = has_version
        self._names = names
        self._max_series = max_series
        self._children: dict[tuple[str, ...], Any] = {}

    def __call__(self, *values: str) -> Any:
        """Return the children for these label values."""
        children = self._children.get(values)
        return self._add(values) if children is None else children

    def use_soon(self, values: tuple[str, ...], use: Callable[[Any], None]) -> None:
        """Use the children now, or once they are made: that takes some 0.5 ms for a histogram.

        For what is called on the event loop, and may show a moment later. ``use`` is called here,
        or in a thread.
        """
        children = self._children.get(values)
        if children is None:
            _maker().submit(lambda: use(self(*values)))
        else:
            use(children)

    def _add(self, values: tuple[str, ...]) -> Any:
        shown = self._shown(values)
        if shown != values and shown in self._children:
            return self._children[shown]  # not kept by its own name: that has no end
        if len(self._children) >= self._max_series:
            shown = (OTHER,) * len(values)
        return self._children.setdefault(shown, self._bind(*shown))

    def _shown(self, values: tuple[str, ...]) -> tuple[str, ...]:
        if self._has_version:
            return (*self._names.version(values[0], values[1]), *values[2:])
        return (self._names.model(values[0]), *values[1:])


@cache
def _maker() -> ThreadPoolExecutor:
    """Return the thread that makes children for the event loop; begun after the fork."""
    return ThreadPoolExecutor(1, thread_name_prefix="series")
