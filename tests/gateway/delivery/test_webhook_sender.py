"""Senders over a real database and real receivers: at least once, in order, by one at a time."""

import base64
import hashlib
import hmac
import logging
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
import pytest
from sqlalchemy import delete, insert, select

from gateway.delivery.egress import Egress
from gateway.delivery.egress_rules import parse_networks
from gateway.delivery.secret_box import SecretBox
from gateway.delivery.webhook_sender import Pace, WebhookSender
from gateway.delivery.webhooks import Webhooks
from registry.schema import delivery, worker
from registry.sql_store import SqlRegistryStore
from registry.webhook_wire import CreateWebhook, UpdateWebhook, WebhookEvent, WebhookTest
from registry.wire import CreateModel, CreateVersion, SetVersionTag
from tests.gateway.delivery.receivers import Call, Receiver, receiving, until
from tracking.clock import now_ms
from tracking.database import Database, open_database
from tracking.errors import InvalidRequest

CREATED = WebhookEvent(entity="REGISTERED_MODEL", action="CREATED")
TAGGED = WebhookEvent(entity="MODEL_VERSION_TAG", action="SET")
SECRET = "a secret that shows nowhere"
ALL_HERE = ("127.0.0.0/8",)


class Place:
    """A registry whose webhooks are delivered by as many senders as a test starts."""

    def __init__(self, uri: str) -> None:
        self.database: Database = open_database(uri)
        self.store = SqlRegistryStore(self.database, seal=lambda _m, _v: None, actor="ann")
        self.box = SecretBox((), lambda: b"shared")
        self.stack = ExitStack()
        self.stack.callback(self.database.close)

    def egress(self, networks: tuple[str, ...] = ALL_HERE) -> Egress:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading all certificates takes a while
        made = Egress(("http",), parse_networks(networks), timeout_s=100.0, tls=tls)
        self.stack.callback(made.close)
        return made

    def webhooks(self) -> Webhooks:
        return Webhooks(self.database, self.egress(), self.box)

    def hook(self, receiver: Receiver, *events: WebhookEvent, name: str = "hook") -> str:
        asked = CreateWebhook(name=name, url=receiver.url, events=list(events), secret=SECRET)
        return self.webhooks().create(asked).webhook_id

    def sender(self, name: str, *, give_up_after_s: float = 1000.0) -> "Sending":
        return Sending(self, name, self.egress(), give_up_after_s)

    def create(self, *names: str) -> None:
        for name in names:
            self.store.create_model(CreateModel(name=name))

    def pending(self) -> int:
        with self.database.read() as connection:
            return len(connection.execute(select(delivery.c.id)).all())


class Sending(WebhookSender):
    """A sender of a worker that is counted in."""

    def __init__(self, place: Place, name: str, egress: Egress, give_up_after_s: float) -> None:
        row = {"host": "h", "idx": 0, "pid": 1, "state": "serving"}
        times = {"started_at": 0, "heartbeat_at": 0}
        joined = insert(worker).values(id=name, **row, **times)
        place.database.write(lambda c: c.execute(joined) and None)
        super().__init__(
            place.database,
            name,
            egress,
            place.box,
            may_send=lambda: True,
            pace=Pace(poll_interval_s=0.03, timeout_s=100.0, give_up_after_s=give_up_after_s),
        )
        self.start()
        place.stack.callback(self.stop)


@pytest.fixture
def place(sqlite_uri: str) -> Iterator[Place]:
    made = Place(sqlite_uri)
    with made.stack:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def models_of(calls: list[Call]) -> list[str]:
    return [msgspec.json.decode(call.body)["data"]["name"] for call in calls]


def test_a_delivery_is_signed_over_its_id_its_time_and_its_body(
    place: Place, receiver: Receiver
) -> None:
    place.hook(receiver, CREATED)
    place.sender("w0")

    place.create("A")
    until(lambda: place.pending() == 0, "delivered")

    (call,) = receiver.calls
    signed = f"{call.delivery_id}.{call.headers['x-mlflow-timestamp']}.".encode() + call.body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    body = msgspec.json.decode(call.body)
    assert call.headers["x-mlflow-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert call.headers["content-type"] == "application/json"
    assert (body["entity"], body["action"]) == ("registered_model", "created")
    assert body["data"] == {"name": "A", "tags": {}, "description": None}


def test_a_receiver_that_was_down_gets_everything_in_order_under_the_same_ids(
    place: Place, receiver: Receiver
) -> None:
    place.hook(receiver, TAGGED)
    place.create("A")
    place.store.create_version(CreateVersion(name="A", source="s3://b/a"))
    receiver.status = 503
    for number in range(4):
        tag = SetVersionTag(name="A", version="1", key="n", value=str(number))
        place.store.set_version_tag(tag)
    place.sender("w0")
    place.sender("w1")
    until(lambda: len(receiver.calls) >= 2, "tried twice")

    receiver.status = 200
    until(lambda: place.pending() == 0, "delivered")

    values = [msgspec.json.decode(call.body)["data"]["value"] for call in receiver.calls]
    ids = {value: set[str]() for value in values}
    for value, call in zip(values, receiver.calls, strict=True):
        ids[value].add(call.delivery_id)
    assert values == sorted(values)
    assert set(values) == {"0", "1", "2", "3"}
    assert all(len(of_one) == 1 for of_one in ids.values())
    assert len({call.body for call in receiver.calls}) == 4


def test_a_slow_receiver_holds_up_neither_the_change_nor_others(
    place: Place, receiver: Receiver
) -> None:
    with receiving() as slow:
        slow.open.clear()
        place.hook(slow, CREATED, name="slow")
        place.hook(receiver, CREATED)
        place.sender("w0")
        place.create("A")
        until(lambda: len(slow.calls) == 1, "the slow one was called")

        place.create("B", "C")
        until(lambda: place.pending() == 3, "the others were told")

        assert models_of(receiver.calls) == ["A", "B", "C"]
        assert models_of(slow.calls) == ["A"]
        slow.open.set()
        until(lambda: place.pending() == 0, "the slow one was told")
        assert models_of(slow.calls) == ["A", "B", "C"]


def test_two_senders_send_nothing_twice(place: Place, receiver: Receiver) -> None:
    place.hook(receiver, CREATED)
    names = [f"m{number}" for number in range(20)]
    place.create(*names)

    for sender in ("w0", "w1", "w2"):
        place.sender(sender)
    until(lambda: place.pending() == 0, "delivered")

    assert sorted(models_of(receiver.calls)) == sorted(names)
    assert len({call.delivery_id for call in receiver.calls}) == len(names)


def test_what_a_dead_worker_had_claimed_is_sent_by_another(
    place: Place, receiver: Receiver
) -> None:
    place.hook(receiver, CREATED)
    receiver.open.clear()
    place.create("A")
    place.sender("w0")
    until(lambda: len(receiver.calls) == 1, "the first was called")
    place.sender("w1")

    gone = delete(worker).where(worker.c.id == "w0")
    place.database.write(lambda c: c.execute(gone) and None)
    until(lambda: len(receiver.calls) == 2, "the second called")
    receiver.open.set()
    until(lambda: place.pending() == 0, "delivered")

    first, second = receiver.calls
    assert (first.delivery_id, first.body) == (second.delivery_id, second.body)


def test_a_receiver_that_asks_for_time_is_given_it(place: Place, receiver: Receiver) -> None:
    place.hook(receiver, CREATED)
    receiver.status, receiver.headers = 503, {"Retry-After": "300"}
    asked_at = now_ms()
    place.create("A")
    place.sender("w0")

    until(lambda: problem_of(place) is not None, "refused")

    with place.database.read() as connection:
        next_at = connection.execute(select(delivery.c.next_at)).scalar_one()
    assert len(receiver.calls) == 1
    assert next_at - asked_at >= 300_000


def test_a_redirect_is_a_failure_and_goes_nowhere(place: Place, receiver: Receiver) -> None:
    with receiving() as inner:
        place.hook(receiver, CREATED)
        receiver.status, receiver.headers = 307, {"Location": inner.url}
        place.create("A")
        place.sender("w0")

        until(lambda: len(receiver.calls) >= 2, "tried twice")

        assert inner.calls == []
        assert place.pending() == 1


def test_the_way_is_checked_at_every_delivery(place: Place, receiver: Receiver) -> None:
    """A webhook whose network is not allowed any more is not called, and keeps what waits."""
    place.hook(receiver, CREATED)
    place.create("A")
    sending = Sending(place, "w0", place.egress(networks=()), 1000.0)

    until(lambda: problem_of(place) is not None, "refused")
    sending.stop()

    assert "no public address" in str(problem_of(place))
    assert (receiver.calls, place.pending()) == ([], 1)


def test_what_is_too_old_is_given_up_and_no_log_has_the_secret(
    place: Place, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    place.hook(receiver, CREATED)
    receiver.status = 500
    place.create("A")

    with caplog.at_level(logging.WARNING):
        place.sender("w0", give_up_after_s=0.0)
        until(lambda: "given up" in caplog.text, "given up")

    assert (len(receiver.calls), place.pending()) == (1, 0)
    assert SECRET not in caplog.text
    assert all(SECRET not in str(vars(record)) for record in caplog.records)


def test_a_disabled_webhook_is_told_nothing_until_it_is_active_again(
    place: Place, receiver: Receiver
) -> None:
    webhook_id = place.hook(receiver, CREATED)
    place.create("A")
    place.webhooks().change(webhook_id, UpdateWebhook(status="DISABLED"))
    with receiving() as other:
        place.hook(other, CREATED, name="other")
        place.sender("w0")
        place.create("B")
        until(lambda: len(other.calls) == 1, "the other was told")
        assert receiver.calls == []

    place.webhooks().change(webhook_id, UpdateWebhook(status="ACTIVE"))
    until(lambda: place.pending() <= 1 and bool(receiver.calls), "told what waited")

    assert models_of(receiver.calls) == ["A"]


def test_a_secret_that_cannot_be_opened_sends_nothing_unsigned(
    place: Place, receiver: Receiver
) -> None:
    place.hook(receiver, CREATED)
    place.create("A")
    place.box = SecretBox((), lambda: b"another")
    place.sender("w0")

    until(lambda: problem_of(place) is not None, "refused")

    assert "another key" in str(problem_of(place))
    assert receiver.calls == []


def test_a_test_says_what_the_receiver_answered(place: Place, receiver: Receiver) -> None:
    webhook_id = place.hook(receiver, TAGGED, CREATED)

    good = place.webhooks().test(webhook_id, WebhookTest())
    receiver.status, receiver.body = 418, b"no"
    bad = place.webhooks().test(webhook_id, WebhookTest(event=CREATED))

    entities = [msgspec.json.decode(call.body)["entity"] for call in receiver.calls]
    assert (good.success, good.response_status, good.response_body) == (True, 200, "thanks")
    assert (bad.success, bad.response_status, bad.response_body) == (False, 418, "no")
    assert entities == ["model_version_tag", "registered_model"]
    assert all("x-mlflow-signature" in call.headers for call in receiver.calls)


def test_a_test_of_what_is_not_there_says_why(place: Place) -> None:
    with receiving() as gone:
        webhook_id = place.hook(gone, CREATED)

    result = place.webhooks().test(webhook_id, WebhookTest())

    assert (result.success, result.response_status) == (False, None)
    assert "connection failed" in str(result.error_message)


def test_what_may_not_be_is_refused_at_once(place: Place, receiver: Receiver) -> None:
    changes: list[dict[str, object]] = [
        {"name": ""},
        {"name": "-a"},
        {"name": "a" * 64},
        {"name": "a b"},
        {"url": "ftp://127.0.0.1/"},
        {"url": "http://10.0.0.1/"},
        {"events": [WebhookEvent(entity="MODEL", action="CREATED")]},
        {"events": [WebhookEvent(entity="MODEL_VERSION", action="SET")]},
        {"secret": "x" * 1001},
        {"secret": "a\x00"},
        {"description": "x" * 5001},
    ]
    webhook_id = place.hook(receiver, CREATED)
    webhooks = place.webhooks()
    for change in changes:
        asked = {"name": "a", "url": receiver.url, "events": [CREATED], **change}
        with pytest.raises(InvalidRequest):
            webhooks.create(msgspec.convert(asked, CreateWebhook))
        with pytest.raises(InvalidRequest):
            webhooks.change(webhook_id, msgspec.convert(change, UpdateWebhook))


def test_a_webhook_wants_to_be_told_of_something(place: Place, receiver: Receiver) -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        place.hook(receiver)


def problem_of(place: Place) -> str | None:
    with place.database.read() as connection:
        found: str | None = connection.execute(select(delivery.c.problem)).scalar()
        return found
