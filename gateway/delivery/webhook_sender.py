"""Delivers what the outbox holds: one thread that looks and claims, some that call receivers.

Every worker has one. A delivery is claimed in the database before it is sent, so that no other
worker of any host sends it while this one lives; what a dead one had claimed is claimed by another.
All that counts is in the rows: killed at any line, the next look goes on from them. Next hop:
``egress``. Nothing here is called by a change; a receiver that is slow or down delays nobody else.
"""

import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from msgspec import Struct
from sqlalchemy import Connection

from gateway.delivery.egress import Egress
from gateway.delivery.egress_rules import Reply
from gateway.delivery.retrying import GiveUp, decide, is_accepted, wait_asked_ms
from gateway.delivery.secret_box import SecretBox
from gateway.delivery.signing import signed_headers
from gateway.metrics import expect_deliveries, observe_delivery, observe_waiting
from registry import outbox
from registry.outbox import Delivery
from tracking.clock import now_ms
from tracking.database import Database
from tracking.errors import StagedoorError

MOST_CALLS = 8
"""Receivers that one worker calls at a time; never two times the same."""

CLOSING_S = 5.0
"""How long calls that run get to finish when the worker stops."""

_GRACE_MS = 10_000
_LONGEST_PAUSE_S = 5.0
_LONGEST_PROBLEM = 500
_LOG = logging.getLogger("stagedoor.webhooks")


class Pace(Struct, frozen=True):
    """How often to look, how long an attempt may take, and how long to try at all."""

    poll_interval_s: float
    timeout_s: float
    give_up_after_s: float


class WebhookSender:
    """Delivers for one worker. Its public methods are safe from any thread.

    Args:
        database: Where the outbox is.
        worker_id: Whose claims these are.
        egress: What calls receivers.
        box: Opens what deliveries are signed with.
        may_send: Whether this worker is counted in: the claims of others are void.
        pace: How often, how long.
    """

    def __init__(
        self,
        database: Database,
        worker_id: str,
        egress: Egress,
        box: SecretBox,
        *,
        may_send: Callable[[], bool],
        pace: Pace,
    ) -> None:
        self._database = database
        self._worker_id = worker_id
        self._egress = egress
        self._box = box
        self._may_send = may_send
        self._pace = pace
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._calls: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(MOST_CALLS, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="webhook-sender", daemon=True)
        self._dropped: int | None = None
        self._was_pending = True

    def start(self) -> None:
        """Begin to deliver."""
        expect_deliveries()
        self._thread.start()

    def stop(self) -> None:
        """Claim nothing more, and let what runs finish for a moment; the rest is for others."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout=CLOSING_S)
        wait(list(self._calls.values()), timeout=CLOSING_S)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(self) -> None:
        """Claim what is due, and hand it to threads."""
        self._calls = {key: call for key, call in self._calls.items() if not call.done()}
        pending = self._database.glance(outbox.PENDING)
        if not pending and self._dropped is not None and not self._was_pending:
            return  # as it was
        self._was_pending = bool(pending)
        with self._database.read() as connection:
            due = set(outbox.find_due(connection, now_ms=now_ms()))
            self._show(outbox.waiting(connection))
        if len(self._calls) >= MOST_CALLS or not due - self._calls.keys():
            return
        for claimed in self._database.write(self._claim):
            self._calls[claimed.webhook] = self._pool.submit(self._deliver, claimed)

    def _claim(self, connection: Connection) -> list[Delivery]:
        at = now_ms()
        return outbox.claim(
            connection,
            self._worker_id,
            self._calls.keys(),
            most=MOST_CALLS - len(self._calls),
            now_ms=at,
            until_ms=at + int(self._pace.timeout_s * 1000) + _GRACE_MS,
        )

    def _run(self) -> None:
        pause_s = self._pace.poll_interval_s
        while not self._stopping.is_set():
            try:
                if self._may_send():
                    self.look()
                pause_s = self._pace.poll_interval_s
            except StagedoorError as error:
                _LOG.warning("webhooks wait: %s", error.message)
                pause_s = min(_LONGEST_PAUSE_S, max(0.25, pause_s * 2))
            except Exception:  # noqa: BLE001 - the rows are as they were; the next look starts there
                _LOG.exception("a look for webhooks failed")
                pause_s = _LONGEST_PAUSE_S
            self._woken.wait(pause_s)
            self._woken.clear()

    def _deliver(self, claimed: Delivery) -> None:
        try:
            reply = self._call(claimed)
            self._settle(claimed, reply)
        except StagedoorError as error:
            # The claim runs out, and it is sent again: at least once.
            _LOG.warning("a delivery cannot be settled: %s", error.message)
        except Exception:  # noqa: BLE001 - the last frame of this call; as above
            _LOG.exception("a delivery failed")
        self._woken.set()

    def _call(self, claimed: Delivery) -> Reply:
        body = claimed.body.encode()
        try:
            secret = None if claimed.secret is None else self._box.open(claimed.secret)
            headers = signed_headers(claimed.id, body, secret=secret, now_s=now_ms() // 1000)
            return self._egress.post(claimed.url, headers, body)
        except StagedoorError as error:
            return Reply(problem=error.message)

    def _settle(self, claimed: Delivery, reply: Reply) -> None:
        if is_accepted(reply.status):
            self._take_out(claimed)
            observe_delivery("delivered")
            return
        at = now_ms()
        decided = decide(
            claimed.attempts,
            age_ms=at - claimed.at,
            give_up_after_ms=int(self._pace.give_up_after_s * 1000),
            chance=random.random(),  # noqa: S311 - it only spreads retries
            asked_ms=wait_asked_ms(reply.retry_after, now_ms=at),
        )
        problem = (reply.problem or f"it answered {reply.status}")[:_LONGEST_PROBLEM]
        told = {"webhook": claimed.name, "delivery": claimed.id, "attempts": claimed.attempts}
        if isinstance(decided, GiveUp):
            self._take_out(claimed)
            observe_delivery("given_up")
            _LOG.error("a delivery was given up: %s", problem, extra=told)
            return
        next_at = at + decided.pause_ms
        self._database.write(lambda c: outbox.postpone(c, claimed, problem, next_at=next_at))
        observe_delivery("failed")
        _LOG.warning("a delivery was not accepted: %s", problem, extra=told)

    def _take_out(self, claimed: Delivery) -> None:
        self._database.write(lambda connection: outbox.settle(connection, claimed))

    def _show(self, waiting: outbox.Waiting) -> None:
        observe_waiting(waiting.pending, waiting.dropped)
        if self._dropped is not None and waiting.dropped > self._dropped:
            _LOG.error("%d deliveries were dropped", waiting.dropped - self._dropped)
        self._dropped = waiting.dropped
