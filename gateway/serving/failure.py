"""Why a version cannot answer in this worker, and whether trying again may help."""

from msgspec import Struct

from gateway.serving.admission import Shed
from registry.route import VersionKey
from tracking.errors import ModelNotReady, Unavailable

_LEAST_RETRY_S = 0.1
"""Nobody is told to come back sooner."""


class Failure(Struct, frozen=True):
    """What is shown of a version that FAILED. Immutable.

    Args:
        stage: The state in which it failed.
        reason: One sentence.
        attempt: How many tries in a row have failed, this one included.
        retry_at_s: When it is tried again, on the manager's clock; none if it is not.
        lacks_memory: Whether it is tried again once something else was unloaded.
    """

    stage: str
    reason: str
    attempt: int
    retry_at_s: float | None = None
    lacks_memory: bool = False


class LoadFailed(ModelNotReady):
    """A version could not be loaded.

    Args:
        reason: One sentence.
        is_transient: Whether the same bytes may load at another time: I/O, time, memory.
    """

    def __init__(self, reason: str, *, is_transient: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_transient = is_transient


class ConversionFailed(LoadFailed):
    """A version was loaded and proved, and its process ended while an engine was made of it."""


class OverBudget(LoadFailed):
    """A version does not fit beside those that have to stay loaded.

    Args:
        size_bytes: What it takes.
        short_bytes: How much more than there is room for.
        budget_bytes: What the versions of one worker may take.
    """

    def __init__(self, size_bytes: int, short_bytes: int, budget_bytes: int) -> None:
        reason = (
            f"It takes {_in_mib(size_bytes)}, which is {_in_mib(short_bytes)} more than the "
            "versions that must stay loaded, or are answering, leave of the "
            f"{_in_mib(budget_bytes)} that this worker's versions may take: raise "
            "serving.memory_budget_bytes, or take other versions out of Production."
        )
        super().__init__(reason, is_transient=False)


class LoadCancelled(ModelNotReady):
    """A load was called off because nothing asks for the version any more."""


class NotAsked(ModelNotReady):
    """A request came to a process that is gone, or waited for it; it was not executed."""


class Overloaded(Unavailable):
    """A request was turned away, or let go while it waited; it was not executed.

    Args:
        message: What was asked, what is the case, what to do.
        shed: Why.
        drain_s: How long what waits will take.
    """

    def __init__(self, message: str, shed: Shed, *, drain_s: float = 0.0) -> None:
        super().__init__(message)
        self.shed = shed
        self.retry_after_s = max(drain_s, _LEAST_RETRY_S)


def name_version(key: VersionKey) -> str:
    """Write a version the way a person would read it."""
    return f"{key.model!r} version {key.version}"


def _in_mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.1f} MiB"
