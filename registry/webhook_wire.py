"""The structs of MLflow's REST API for webhooks. A secret comes in, and never goes out.

Times are milliseconds since the epoch. Source: the MLflow REST API, version 2.0 paths.
"""

from typing import Literal

from tracking.wire import Message

WebhookStatus = Literal["ACTIVE", "DISABLED"]


class WebhookEvent(Message, frozen=True):
    """What a webhook wants to be told of: ``MODEL_VERSION`` and ``CREATED``."""

    entity: str
    action: str


class Webhook(Message, frozen=True):
    """Somebody who is told of changes, by a request to a URL."""

    webhook_id: str
    name: str
    url: str
    events: list[WebhookEvent]
    status: WebhookStatus
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | None = None


class CreateWebhook(Message, frozen=True):
    """POST webhooks."""

    name: str
    url: str
    events: list[WebhookEvent]
    description: str | None = None
    secret: str | None = None
    status: WebhookStatus | None = None


class UpdateWebhook(Message, frozen=True):
    """PATCH webhooks/<id>; what is left out stays."""

    name: str | None = None
    url: str | None = None
    events: list[WebhookEvent] = []
    description: str | None = None
    secret: str | None = None
    status: WebhookStatus | None = None


class WebhookAnswer(Message, frozen=True):
    """One webhook."""

    webhook: Webhook


class WebhookPage(Message, frozen=True):
    """One page of webhooks."""

    webhooks: list[Webhook] = []
    next_page_token: str | None = None


class WebhookTest(Message, frozen=True):
    """POST webhooks/<id>/test; without an event, the first one of the webhook."""

    event: WebhookEvent | None = None


class WebhookTestResult(Message, frozen=True):
    """What became of a test: the receiver's answer, or why there was none."""

    success: bool
    response_status: int | None = None
    response_body: str | None = None
    error_message: str | None = None


class WebhookTestAnswer(Message, frozen=True):
    """The result of a test."""

    result: WebhookTestResult
