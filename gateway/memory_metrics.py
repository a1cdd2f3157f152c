"""What metrics tell of memory: what versions take, what they may take, what had to go.

Part of the page of ``gateway.metrics``, which registers them.
"""

from prometheus_client import Counter, Gauge

MODEL_MEMORY = Gauge(
    "stagedoor_model_memory_bytes",
    "Memory that the version takes, all living workers together; measured, and 0 once unloaded. "
    "Beyond four versions of a model at a time, new ones share `_other`.",
    ("model", "version"),
    multiprocess_mode="livesum",
    registry=None,
)
MEMORY = Gauge(
    "stagedoor_memory_bytes",
    "Memory of loaded versions, all living workers together: what they take (held), and may take "
    "(budget).",
    ("kind",),
    multiprocess_mode="livesum",
    registry=None,
)
UNRELEASED = Gauge(
    "stagedoor_unreleased_models",
    "Versions that are wanted no more and not freed yet: requests hold them, or they are going.",
    ("model",),
    multiprocess_mode="livesum",
    registry=None,
)
UNLOADS = Counter(
    "stagedoor_unloads_total",
    "Versions unloaded although nobody withdrew them: for room (budget), or for lack of requests "
    "(idle).",
    ("reason",),
    registry=None,
)

MEMORY_METRICS = (MODEL_MEMORY, MEMORY, UNRELEASED, UNLOADS)
