"""The use cases behind MLflow's webhook API. Handlers call it in the thread pool.

What may be told, and to where, is checked here once; secrets are encrypted before they meet the
database, and no answer has one.
"""

import uuid

from gateway.delivery.egress import Egress
from gateway.delivery.egress_rules import Reply
from gateway.delivery.retrying import is_accepted
from gateway.delivery.secret_box import SecretBox
from gateway.delivery.signing import signed_headers
from registry import webhooks
from registry.webhook_events import body_of, check_event, example_of
from registry.webhook_wire import (
    CreateWebhook,
    UpdateWebhook,
    Webhook,
    WebhookEvent,
    WebhookPage,
    WebhookTest,
    WebhookTestResult,
)
from tracking.clock import now_ms
from tracking.database import Database
from tracking.errors import GateUnmet, InvalidRequest

_LONGEST_SHOWN = 4_096


class Webhooks:
    """Creates, changes and tests webhooks. Safe from any thread.

    Args:
        database: Where they are.
        egress: Judges URLs, and sends tests.
        box: Encrypts and opens secrets.
    """

    def __init__(self, database: Database, egress: Egress, box: SecretBox) -> None:
        self._database = database
        self._egress = egress
        self._box = box

    def create(self, request: CreateWebhook) -> Webhook:
        """Add a webhook.

        Raises:
            InvalidRequest: Its name, URL or events may not be.
        """
        webhooks.check_webhook(request)
        self._egress.check(request.url)
        secret = self._closed(request.secret)
        return self._database.write(
            lambda connection: webhooks.create(connection, request, secret=secret, now_ms=now_ms())
        )

    def one(self, webhook_id: str) -> Webhook:
        """Return a webhook.

        Raises:
            ResourceMissing: There is none of that id.
        """
        with self._database.read() as connection:
            return webhooks.one(connection, webhook_id)

    def page(self, max_results: int | None, page_token: str | None) -> WebhookPage:
        """Return one page of webhooks, newest first."""
        with self._database.read() as connection:
            return webhooks.page(connection, max_results, page_token)

    def change(self, webhook_id: str, request: UpdateWebhook) -> Webhook:
        """Change what a request names; an empty secret takes the secret away.

        Raises:
            ResourceMissing: There is no such webhook.
            InvalidRequest: A value may not be.
        """
        webhooks.check_webhook(request)
        if request.url is not None:
            self._egress.check(request.url)
        secret = self._closed(request.secret)
        return self._database.write(
            lambda connection: webhooks.change(
                connection, webhook_id, request, secret=secret, now_ms=now_ms()
            )
        )

    def remove(self, webhook_id: str) -> None:
        """Delete a webhook, with what still waits for it.

        Raises:
            ResourceMissing: There is none of that id.
        """
        self._database.write(lambda connection: webhooks.remove(connection, webhook_id))

    def test(self, webhook_id: str, request: WebhookTest) -> WebhookTestResult:
        """Send an example of an event now, once, and say what came back.

        Raises:
            ResourceMissing: There is no such webhook.
            InvalidRequest: There is no such event.
        """
        with self._database.read() as connection:
            row = webhooks.row_of(connection, webhook_id)
            first = webhooks.one(connection, webhook_id).events[0]
        event = first if request.event is None else check_event(request.event)
        try:
            return _result(self._send_example(row.url, row.secret, event))
        except (InvalidRequest, GateUnmet) as refused:
            return WebhookTestResult(success=False, error_message=refused.message)

    def _send_example(self, url: str, closed_secret: str | None, event: WebhookEvent) -> Reply:
        at = now_ms()
        body = body_of(example_of(event), now_ms=at).encode()
        secret = None if closed_secret is None else self._box.open(closed_secret)
        headers = signed_headers(str(uuid.uuid4()), body, secret=secret, now_s=at // 1000)
        return self._egress.post(url, headers, body)

    def _closed(self, secret: str | None) -> str | None:
        return self._box.close(secret) if secret else None


def _result(reply: Reply) -> WebhookTestResult:
    return WebhookTestResult(
        success=is_accepted(reply.status),
        response_status=reply.status,
        response_body=reply.body[:_LONGEST_SHOWN] or None,
        error_message=reply.problem or None,
    )
