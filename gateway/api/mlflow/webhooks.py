"""Webhooks, as MLflow's clients ask for them: who is told of changes, and a test of each.

Thin: decode, one call of ``delivery.webhooks``, return. MLflow's own clients cannot read an event
that they do not know, not even in a list: they are shown those that they know, and no webhook that
has none of them. Handlers run in the thread pool.
"""

from collections.abc import Iterable
from typing import Annotated

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody, Parameter
from msgspec.structs import replace

from gateway.api.dependencies import WebhookDesk
from gateway.auth.policy import Permission
from registry.webhook_events import is_of_field
from registry.webhook_wire import (
    CreateWebhook,
    UpdateWebhook,
    Webhook,
    WebhookAnswer,
    WebhookPage,
    WebhookTest,
    WebhookTestAnswer,
)
from tracking.wire import Nothing

_PREFIX = "/api/2.0/mlflow/webhooks"
_ONE = f"{_PREFIX}/{{webhook_id:str}}"
_ADMIN = {"permission": Permission.ADMIN}

FieldClient = Annotated[
    str | None,
    Parameter(
        header="X-MLflow-Client-Version",
        description="Sent by MLflow's own clients, which are shown only events that they know.",
    ),
]


@post(_PREFIX, status_code=200, sync_to_thread=True, opt=_ADMIN)
def create_webhook(
    data: JSONBody[CreateWebhook], webhooks: WebhookDesk, field_client: FieldClient = None
) -> WebhookAnswer:
    """Add somebody who is told of changes."""
    return _answer(webhooks.create(data), field_client)


@get(_PREFIX, sync_to_thread=True, opt=_ADMIN)
def list_webhooks(
    webhooks: WebhookDesk,
    max_results: int | None = None,
    page_token: str | None = None,
    field_client: FieldClient = None,
) -> WebhookPage:
    """Return one page of webhooks, newest first."""
    page = webhooks.page(max_results, page_token)
    return page if field_client is None else replace(page, webhooks=_readable(page.webhooks))


@get(_ONE, sync_to_thread=True, opt=_ADMIN)
def webhook(
    webhook_id: FromPath[str], webhooks: WebhookDesk, field_client: FieldClient = None
) -> WebhookAnswer:
    """Return one webhook; never its secret."""
    return _answer(webhooks.one(webhook_id), field_client)


@patch(_ONE, sync_to_thread=True, opt=_ADMIN)
def update_webhook(
    webhook_id: FromPath[str],
    data: JSONBody[UpdateWebhook],
    webhooks: WebhookDesk,
    field_client: FieldClient = None,
) -> WebhookAnswer:
    """Change what the body names."""
    return _answer(webhooks.change(webhook_id, data), field_client)


@delete(_ONE, status_code=200, sync_to_thread=True, opt=_ADMIN)
def delete_webhook(webhook_id: FromPath[str], webhooks: WebhookDesk) -> Nothing:
    """Delete a webhook, with what still waits for it."""
    webhooks.remove(webhook_id)
    return Nothing()


@post(f"{_ONE}/test", status_code=200, sync_to_thread=True, opt=_ADMIN)
def test_webhook(
    webhook_id: FromPath[str], data: JSONBody[WebhookTest], webhooks: WebhookDesk
) -> WebhookTestAnswer:
    """Send an example now, and return what the receiver answered."""
    return WebhookTestAnswer(result=webhooks.test(webhook_id, data))


def _answer(found: Webhook, field_client: str | None) -> WebhookAnswer:
    readable = _readable([found]) if field_client is not None else []
    return WebhookAnswer(webhook=readable[0] if readable else found)


def _readable(webhooks: Iterable[Webhook]) -> list[Webhook]:
    """Return webhooks with the events that MLflow's clients know, if they have any."""
    known = [replace(w, events=[e for e in w.events if is_of_field(e)]) for w in webhooks]
    return [webhook for webhook in known if webhook.events]


HANDLERS = [
    create_webhook,
    list_webhooks,
    webhook,
    update_webhook,
    delete_webhook,
    test_webhook,
]
