"""The SQL of webhooks, within the caller's transaction. Secrets pass through encrypted."""

import re
import uuid
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from registry.limits import check_max_results
from registry.schema import webhook
from registry.webhook_events import check_event
from registry.webhook_wire import (
    CreateWebhook,
    UpdateWebhook,
    Webhook,
    WebhookEvent,
    WebhookPage,
)
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.page_tokens import place_of, token_for

MOST_RESULTS = 1_000
MOST_WEBHOOKS = 1_000
_DEFAULT_RESULTS = 100
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LONGEST_TEXT = 5_000
_LONGEST_SECRET = 1_000
_PAGES = b"webhooks"


def check_webhook(request: CreateWebhook | UpdateWebhook) -> None:
    """Check all of a request but its URL, which takes a look at the network.

    Raises:
        InvalidRequest: The name, an event, the description or the secret may not be.
    """
    if request.name is not None and not _NAME.fullmatch(request.name):
        raise InvalidRequest(
            f"Webhook name {request.name[:100]!r} is invalid: use 1 to 63 letters, digits, '.', "
            "'_' and '-', and begin and end with a letter or digit."
        )
    for event in request.events:
        check_event(event)
    for field, longest in (("description", _LONGEST_TEXT), ("secret", _LONGEST_SECRET)):
        text = getattr(request, field)
        if text is not None and (len(text) > longest or "\x00" in text):
            raise InvalidRequest(f"The {field} has at most {longest} characters, and no NUL.")


def create(
    connection: Connection, request: CreateWebhook, *, secret: str | None, now_ms: int
) -> Webhook:
    """Add a webhook.

    Args:
        connection: The transaction.
        request: What was asked, checked.
        secret: Its secret, encrypted.
        now_ms: The time.

    Raises:
        InvalidRequest: It wants to be told of nothing, or there are too many webhooks.
    """
    if not request.events:
        raise InvalidRequest("Webhook events cannot be empty: name at least one.")
    if len(connection.execute(select(webhook.c.id)).all()) >= MOST_WEBHOOKS:
        raise InvalidRequest(f"There are {MOST_WEBHOOKS} webhooks already: delete one first.")
    webhook_id = str(uuid.uuid4())
    connection.execute(
        insert(webhook).values(
            id=webhook_id,
            name=request.name,
            url=request.url,
            events=_encoded(request.events),
            description=request.description,
            secret=secret,
            status=request.status or "ACTIVE",
            last_seq=0,
            dropped=0,
            created_at=now_ms,
            updated_at=now_ms,
        )
    )
    return one(connection, webhook_id)


def one(connection: Connection, webhook_id: str) -> Webhook:
    """Return a webhook.

    Raises:
        ResourceMissing: There is none of that id.
    """
    return _webhook(row_of(connection, webhook_id))


def page(connection: Connection, max_results: int | None, page_token: str | None) -> WebhookPage:
    """Return one page of webhooks, newest first.

    Raises:
        InvalidRequest: The size or token is not one we know.
    """
    size = check_max_results(max_results or None, default=_DEFAULT_RESULTS, most=MOST_RESULTS)
    start = int(place_of(page_token, query=_PAGES)[0]) if page_token else 0
    newest = select(webhook).order_by(webhook.c.created_at.desc(), webhook.c.id)
    rows = list(connection.execute(newest.limit(size + 1).offset(start)))
    token = token_for([start + size], query=_PAGES) if len(rows) > size else None
    return WebhookPage(webhooks=[_webhook(row) for row in rows[:size]], next_page_token=token)


def change(
    connection: Connection,
    webhook_id: str,
    request: UpdateWebhook,
    *,
    secret: str | None,
    now_ms: int,
) -> Webhook:
    """Change what a request names, and leave the rest.

    Raises:
        ResourceMissing: There is no such webhook.
    """
    row_of(connection, webhook_id)
    values: dict[str, Any] = {"updated_at": now_ms}
    told = {
        "name": request.name,
        "url": request.url,
        "events": _encoded(request.events) if request.events else None,
        "description": request.description,
        "status": request.status,
        "secret": secret,
    }
    values |= {name: value for name, value in told.items() if value is not None}
    if request.secret == "":
        values["secret"] = None
    connection.execute(update(webhook).where(webhook.c.id == webhook_id).values(values))
    return one(connection, webhook_id)


def remove(connection: Connection, webhook_id: str) -> None:
    """Delete a webhook, and with it what still waits for it.

    Raises:
        ResourceMissing: There is none of that id.
    """
    if connection.execute(delete(webhook).where(webhook.c.id == webhook_id)).rowcount == 0:
        raise _missing(webhook_id)


def row_of(connection: Connection, webhook_id: str) -> Row[Any]:
    """Return the row of a webhook, with its encrypted secret.

    Raises:
        ResourceMissing: There is none of that id.
    """
    row = None
    if "\x00" not in webhook_id:
        row = connection.execute(select(webhook).where(webhook.c.id == webhook_id)).one_or_none()
    if row is None:
        raise _missing(webhook_id)
    return row


def _missing(webhook_id: str) -> ResourceMissing:
    return ResourceMissing(
        f"Webhook with ID {webhook_id[:100]!r} not found. List the webhooks to see their ids."
    )


def _encoded(events: list[WebhookEvent]) -> str:
    return msgspec.json.encode(list(dict.fromkeys(events))).decode()


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        webhook_id=row.id,
        name=row.name,
        url=row.url,
        events=msgspec.json.decode(row.events, type=list[WebhookEvent]),
        description=row.description,
        status=row.status,
        creation_timestamp=row.created_at,
        last_updated_timestamp=row.updated_at,
    )
