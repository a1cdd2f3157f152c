"""The SQL of the workers: who is there, who serves, and which epoch each of them has published."""

from collections import Counter
from collections.abc import Callable, Mapping

from msgspec import Struct
from sqlalchemy import Connection, delete, func, insert, select, update

from registry.schema import active, route, worker

JOINING = "joining"
"""Loading what is committed; not counted, takes no traffic while others do."""
SERVING = "serving"
"""Answers requests; every switch waits for it."""

GONE_AFTER_MS = 600_000
"""A worker of another host that has been silent for this long is forgotten."""


class WorkerRow(Struct, frozen=True):
    """One worker as the database has it. Times in milliseconds since the epoch."""

    id: str
    host: str
    idx: int
    pid: int
    state: str
    started_at: int
    heartbeat_at: int


IsLive = Callable[[WorkerRow], bool]
"""Whether a worker is alive: by its locked file on this host, by its heartbeat elsewhere."""


def join(connection: Connection, row: WorkerRow) -> None:
    """Add a worker, or add it anew."""
    connection.execute(delete(worker).where(worker.c.id == row.id))
    connection.execute(
        insert(worker).values(
            id=row.id,
            host=row.host,
            idx=row.idx,
            pid=row.pid,
            state=row.state,
            started_at=row.started_at,
            heartbeat_at=row.heartbeat_at,
        )
    )


def leave(connection: Connection, worker_id: str) -> None:
    """Remove a worker."""
    connection.execute(delete(worker).where(worker.c.id == worker_id))


def beat(connection: Connection, worker_id: str, *, now_ms: int) -> bool:
    """Say that a worker is still there; return whether it has a row."""
    mine = update(worker).where(worker.c.id == worker_id)
    return connection.execute(mine.values(heartbeat_at=now_ms)).rowcount == 1


def workers(connection: Connection) -> list[WorkerRow]:
    """Return every worker there is a row of, by host and index."""
    rows = connection.execute(select(worker).order_by(worker.c.host, worker.c.idx)).all()
    return [WorkerRow(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name


def serving_workers(connection: Connection, is_live: IsLive) -> frozenset[str]:
    """Return the workers that every switch has to wait for."""
    return frozenset(row.id for row in workers(connection) if row.state == SERVING and is_live(row))


def forget_dead(connection: Connection, is_live: IsLive, *, host: str, now_ms: int) -> list[str]:
    """Remove the dead of this host, and those of others that were silent for long."""
    gone = [
        row.id
        for row in workers(connection)
        if not is_live(row) and (row.host == host or now_ms - row.heartbeat_at > GONE_AFTER_MS)
    ]
    if gone:
        connection.execute(delete(worker).where(worker.c.id.in_(gone)))
    return gone


def start_serving(connection: Connection, worker_id: str, epochs: Mapping[str, int]) -> bool:
    """Count a worker in, if what it has loaded is what is committed now.

    Args:
        connection: The transaction.
        worker_id: Which worker.
        epochs: The epoch it has loaded, by model.

    Returns:
        Whether it serves from now on; if not, it has more to load.
    """
    committed = connection.execute(select(route.c.model, route.c.committed_epoch)).all()
    if any(epochs.get(row.model) != row.committed_epoch for row in committed):
        return False
    connection.execute(update(worker).where(worker.c.id == worker_id).values(state=SERVING))
    return True


def report_active(connection: Connection, worker_id: str, epochs: Mapping[str, int]) -> None:
    """Record which epochs a worker has published."""
    mine = active.c.worker == worker_id
    connection.execute(delete(active).where(mine, active.c.model.in_(list(epochs))))
    connection.execute(
        insert(active),
        [{"worker": worker_id, "model": model, "epoch": epoch} for model, epoch in epochs.items()],
    )


def active_epochs(connection: Connection, model: str) -> dict[str, int]:
    """Return which epoch of a model each worker has published."""
    rows = connection.execute(
        select(active.c.worker, active.c.epoch).where(active.c.model == model)
    ).all()
    return {row.worker: row.epoch for row in rows}


def count_behind(connection: Connection, is_live: IsLive) -> dict[str, int]:
    """Return by model how many serving, live workers are below its committed epoch."""
    mine = (active.c.worker == worker.c.id) & (active.c.model == route.c.model)
    rows = connection.execute(
        select(route.c.model, worker.c.id)
        .select_from(route.join(worker, worker.c.state == SERVING).outerjoin(active, mine))
        .where(func.coalesce(active.c.epoch, -1) < route.c.committed_epoch)
    ).all()
    if not rows:
        return {}
    serving = serving_workers(connection, is_live)
    return dict(Counter(row.model for row in rows if row.id in serving))
