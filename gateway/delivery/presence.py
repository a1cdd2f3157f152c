"""Who is alive: by locked files on this host, by heartbeats elsewhere."""

from gateway.worker import WorkerIdentity, live_worker_ids
from registry.fleet import JOINING, IsLive, WorkerRow

SILENT_AFTER_MS = 3_000
"""A worker of another host that has been silent for this long is not waited for."""


def row_of(worker: WorkerIdentity, *, now_ms: int) -> WorkerRow:
    """Return the row with which a worker joins.

    Its host is a host and a run folder: only there can its lock be seen.
    """
    return WorkerRow(
        id=worker.id,
        host=f"{worker.host}:{worker.run_dir}",
        idx=worker.index,
        pid=worker.pid,
        state=JOINING,
        started_at=now_ms,
        heartbeat_at=now_ms,
    )


def read_liveness(mine: WorkerRow, run_dir: str, *, now_ms: int) -> IsLive:
    """Look at this host's locks once, and return what they and the heartbeats say."""
    locked = live_worker_ids(run_dir)

    def is_live(row: WorkerRow) -> bool:
        if row.host == mine.host:
            return row.id in locked
        return now_ms - row.heartbeat_at <= SILENT_AFTER_MS

    return is_live
