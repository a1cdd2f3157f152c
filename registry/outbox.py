"""What is still to be told to webhooks: written with the change, claimed and settled by senders.

``announce`` runs in the transaction of the change, so that one is never without the other. A row is
one delivery of one event to one webhook, with an id that all its attempts share. The number within
a webhook comes from the webhook's own row, whose lock makes it the commit order. A webhook keeps
the newest ``MOST_PENDING`` deliveries: the oldest go first, and are counted.
"""

import uuid
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from registry.schema import delivery, webhook, worker
from registry.webhook_events import Happening, body_of
from registry.webhook_wire import WebhookEvent

MOST_PENDING = 10_000
"""Deliveries that wait for one webhook, at the most."""

PENDING = "SELECT count(*) FROM delivery"
"""Gives how many deliveries wait. Asked several times a second."""

ACTIVE = "ACTIVE"


class Delivery(Struct, frozen=True):
    """One delivery that a worker has claimed. Times in milliseconds since the epoch.

    Args:
        webhook: Whose it is.
        seq: Its number within the webhook.
        id: What the receiver knows it by, the same for every attempt.
        name: The webhook's name.
        url: Where it goes.
        secret: What it is signed with, encrypted; or none.
        body: The JSON to send.
        attempts: How many attempts there are with this one.
        at: When the change was made.
    """

    webhook: str
    seq: int
    id: str
    name: str
    url: str
    secret: str | None
    body: str
    attempts: int
    at: int


class Waiting(Struct, frozen=True):
    """How much waits, and how much was dropped for want of room since webhooks were made."""

    pending: int
    dropped: int


def announce(connection: Connection, happening: Happening, *, now_ms: int) -> None:
    """Tell every webhook that wants to know; within the transaction of the change itself."""
    active = select(webhook.c.id, webhook.c.events).where(webhook.c.status == ACTIVE)
    subscribed = [
        row.id
        for row in connection.execute(active.order_by(webhook.c.id))
        if happening.event in msgspec.json.decode(row.events, type=list[WebhookEvent])
    ]
    if not subscribed:
        return
    body = body_of(happening, now_ms=now_ms)
    for webhook_id in subscribed:
        seq = _next_seq(connection, webhook_id)
        connection.execute(
            insert(delivery).values(
                webhook=webhook_id,
                seq=seq,
                id=str(uuid.uuid4()),
                model=happening.model,
                body=body,
                at=now_ms,
                attempts=0,
                next_at=0,
                claimed_until=0,
            )
        )
        _keep_newest(connection, webhook_id, seq)


def find_due(connection: Connection, *, now_ms: int) -> list[str]:
    """Return the webhooks that a delivery could be claimed of now."""
    due = _due(now_ms).with_only_columns(delivery.c.webhook).distinct()
    return [str(webhook_id) for webhook_id in connection.execute(due).scalars()]


def claim(
    connection: Connection,
    who: str,
    busy: AbstractSet[str],
    *,
    most: int,
    now_ms: int,
    until_ms: int,
) -> list[Delivery]:
    """Claim at most one delivery of each webhook that is not busy here: the longest due.

    Only the oldest delivery of a model to a webhook can be claimed, so that they keep their order.

    Args:
        connection: In a write transaction: two claims take effect one after the other.
        who: The worker that claims.
        busy: Webhooks that it is calling already.
        most: How many to claim at the most.
        now_ms: The time.
        until_ms: When the claim ends by itself; it ends earlier if the worker is gone.
    """
    chosen: dict[str, Row[Any]] = {}
    for row in connection.execute(_due(now_ms).order_by(delivery.c.next_at, delivery.c.seq)):
        if row.webhook not in busy:
            chosen.setdefault(row.webhook, row)
    claimed = list(chosen.values())[:most]
    for row in claimed:
        connection.execute(
            update(delivery)
            .where(delivery.c.webhook == row.webhook, delivery.c.seq == row.seq)
            .values(claimed_by=who, claimed_until=until_ms, attempts=row.attempts + 1)
        )
    return [_delivery(row) for row in claimed]


def settle(connection: Connection, done: Delivery) -> bool:
    """Take a delivery out that was accepted; say whether it was still there, as it was claimed."""
    return connection.execute(delete(delivery).where(_as_claimed(done))).rowcount == 1


def postpone(connection: Connection, tried: Delivery, problem: str, *, next_at: int) -> None:
    """Let a delivery wait for its next attempt."""
    connection.execute(
        update(delivery)
        .where(_as_claimed(tried))
        .values(claimed_by=None, claimed_until=0, next_at=next_at, problem=problem)
    )


def waiting(connection: Connection) -> Waiting:
    """Return how much waits for all webhooks together."""
    pending = connection.execute(select(func.count()).select_from(delivery)).scalar_one()
    dropped = connection.execute(select(func.coalesce(func.sum(webhook.c.dropped), 0))).scalar_one()
    return Waiting(int(pending), int(dropped))


def _next_seq(connection: Connection, webhook_id: str) -> int:
    counted = update(webhook).where(webhook.c.id == webhook_id)
    counted = counted.values(last_seq=webhook.c.last_seq + 1)
    return int(connection.execute(counted.returning(webhook.c.last_seq)).scalar_one())


def _keep_newest(connection: Connection, webhook_id: str, seq: int) -> None:
    """Drop what is too old by its number, which needs no counting."""
    of = (delivery.c.webhook == webhook_id, delivery.c.seq <= seq - MOST_PENDING)
    dropped = connection.execute(delete(delivery).where(*of)).rowcount
    if dropped:
        counted = update(webhook).where(webhook.c.id == webhook_id)
        connection.execute(counted.values(dropped=webhook.c.dropped + dropped))


def _due(now_ms: int) -> Select[Any]:
    """Select the oldest delivery of each model to each active webhook, if it may be sent now."""
    oldest = (
        select(delivery.c.webhook, func.min(delivery.c.seq).label("seq"))
        .group_by(delivery.c.webhook, delivery.c.model)
        .subquery()
    )
    is_free = or_(
        delivery.c.claimed_by.is_(None),
        delivery.c.claimed_until < now_ms,
        delivery.c.claimed_by.not_in(select(worker.c.id)),
    )
    return (
        select(delivery, webhook.c.name, webhook.c.url, webhook.c.secret)
        .join(
            oldest,
            and_(delivery.c.webhook == oldest.c.webhook, delivery.c.seq == oldest.c.seq),
        )
        .join(webhook, webhook.c.id == delivery.c.webhook)
        .where(webhook.c.status == ACTIVE, delivery.c.next_at <= now_ms, is_free)
    )


def _as_claimed(claimed: Delivery) -> ColumnElement[bool]:
    """Match a delivery that nobody has claimed since: each claim is an attempt more."""
    return and_(
        delivery.c.webhook == claimed.webhook,
        delivery.c.seq == claimed.seq,
        delivery.c.attempts == claimed.attempts,
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        webhook=row.webhook,
        seq=row.seq,
        id=row.id,
        name=row.name,
        url=row.url,
        secret=row.secret,
        body=row.body,
        attempts=row.attempts + 1,
        at=row.at,
    )
