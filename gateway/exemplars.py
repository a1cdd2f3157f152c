"""Exemplars: the newest trace in each bucket of request times, of all workers.

``watching`` notes them on the event loop, only where tracing is on; the thread that sends spans
writes them down beside the counts of its worker, and ``openmetrics`` reads those of all.
"""

import logging
import os
import threading
from bisect import bisect_left
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.series import LATENCY_BUCKETS
from gateway.settings import metrics_folder
from tracking.clock import now_ms

MAX_KEPT = 512
"""In one worker: callers choose models, and each has many buckets."""
_LOG = logging.getLogger("stagedoor.metrics")

Bucket = tuple[tuple[str, ...], int]
"""The values of a series' labels, and which of its buckets."""


class Exemplar(Struct, frozen=True):
    """One request that was traced.

    Args:
        series: The values of the labels it was counted under.
        bucket: Which bucket it fell into; as many as there are bounds for the last one.
        trace_id: 32 hexadecimal digits.
        seconds: How long it took.
        at_ms: When it was over, in milliseconds since the epoch.
    """

    series: tuple[str, ...]
    bucket: int
    trace_id: str
    seconds: float
    at_ms: int


class Exemplars:
    """Those of one worker. Safe from any thread.

    Args:
        max_kept: How many buckets have one; the oldest go.
    """

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        self._max_kept = max_kept
        self._kept: dict[Bucket, Exemplar] = {}
        self._is_written = True
        self._is_failing = False
        self._lock = threading.Lock()

    def note(self, series: tuple[str, ...], seconds: float, trace_id: int) -> None:
        """Keep a request that was traced, in place of an older one of its bucket."""
        bucket = bisect_left(LATENCY_BUCKETS, seconds)
        made = Exemplar(series, bucket, f"{trace_id:032x}", seconds, now_ms())
        with self._lock:
            self._kept.pop((series, bucket), None)  # so that the newest is the last
            self._kept[series, bucket] = made
            if len(self._kept) > self._max_kept:
                del self._kept[next(iter(self._kept))]
            self._is_written = False

    def kept(self) -> list[Exemplar]:
        """Return them, oldest first."""
        with self._lock:
            return list(self._kept.values())

    def write(self) -> None:
        """Write down what is new, where there are several workers. Never raises."""
        folder = metrics_folder()
        if folder is None or self._is_written:
            return
        self._is_written = True  # what is noted from here on is new again
        try:
            written = folder / f".exemplars_{os.getpid()}"
            written.write_bytes(msgspec.json.encode(self.kept()))
            written.replace(_file_of(folder, os.getpid()))
        except OSError as error:
            if not self._is_failing:
                _LOG.warning("exemplars cannot be written, and are missing: %s", error)
            self._is_failing = True
        else:
            self._is_failing = False


EXEMPLARS = Exemplars()
"""Those of this process."""


def newest() -> dict[Bucket, Exemplar]:
    """Return the newest of each bucket, of all workers that live."""
    folder = metrics_folder()
    found = EXEMPLARS.kept() if folder is None else _read_all(folder)
    return {(one.series, one.bucket): one for one in sorted(found, key=lambda one: one.at_ms)}


def forget(folder: Path, pid: int) -> None:
    """Drop those of a worker that is gone."""
    _file_of(folder, pid).unlink(missing_ok=True)
    (folder / f".exemplars_{pid}").unlink(missing_ok=True)


def _read_all(folder: Path) -> list[Exemplar]:
    found: list[Exemplar] = []
    for file in folder.glob("exemplars_*.json"):
        try:
            found += msgspec.json.decode(file.read_bytes(), type=list[Exemplar])
        except (FileNotFoundError, msgspec.DecodeError):
            continue  # its worker is just gone; or half written as the host went down
    return found


def _file_of(folder: Path, pid: int) -> Path:
    return folder / f"exemplars_{pid}.json"
