"""Where a worker answers predictions, and how much of them it takes on. Given to ``predict``."""

from msgspec import Struct

from gateway.quota_settings import QuotaSettings
from gateway.watching import Watcher
from registry.references import ModelUri


class Place(Struct, frozen=True):
    """Where predictions are answered.

    Args:
        worker: The worker's id, told in every answer.
        default: What ``/invocations`` stands for, or none.
        load_timeout_s: How long a call by number may wait for its version.
        watcher: Chooses whose phases are noted; without it nobody's are.
        max_timeout_s: How long a request may take, also where it asks for more.
        max_requests: How many may be held at once.
        max_bytes: How many bytes of their bodies.
        quota: What each client may ask for.
    """

    worker: str
    default: ModelUri | None
    load_timeout_s: float
    watcher: Watcher | None = None
    max_timeout_s: float = 60.0
    max_requests: int = 4000
    max_bytes: int = 256 << 20
    quota: QuotaSettings = QuotaSettings()
