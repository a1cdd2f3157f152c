"""What webhooks are told, and how deliveries are claimed: over SQLite and over PostgreSQL."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete, select, update

from registry import outbox, promotion, sql_models, webhooks
from registry.outbox import Delivery
from registry.promotion import PromotionOrder
from registry.schema import delivery, webhook, worker
from registry.sql_store import SqlRegistryStore
from registry.switches import Cause
from registry.webhook_wire import CreateWebhook, UpdateWebhook, WebhookEvent
from registry.wire import (
    CreateModel,
    CreateVersion,
    DeleteVersionTag,
    SetAlias,
    SetModelTag,
    SetVersionTag,
    TransitionStage,
)
from tests.registry.fleet_of_two import FleetOfTwo
from tracking.database import Database, open_database
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.wire import Tag

SOURCE = "s3://bucket/model"
CREATED = WebhookEvent(entity="REGISTERED_MODEL", action="CREATED")
EVERYTHING = [
    CREATED,
    WebhookEvent(entity="MODEL_VERSION", action="CREATED"),
    WebhookEvent(entity="MODEL_VERSION_TAG", action="SET"),
    WebhookEvent(entity="MODEL_VERSION_TAG", action="DELETED"),
    WebhookEvent(entity="MODEL_VERSION_ALIAS", action="CREATED"),
    WebhookEvent(entity="MODEL_VERSION_ALIAS", action="DELETED"),
    WebhookEvent(entity="PROMPT", action="CREATED"),
    WebhookEvent(entity="PROMPT_VERSION", action="CREATED"),
    WebhookEvent(entity="PROMPT_TAG", action="SET"),
    WebhookEvent(entity="PROMPT_ALIAS", action="CREATED"),
    WebhookEvent(entity="MODEL_VERSION_STAGE", action="TRANSITIONED"),
    WebhookEvent(entity="MODEL_ROUTE", action="PROMOTED"),
    WebhookEvent(entity="MODEL_ROUTE", action="ROLLED_BACK"),
    WebhookEvent(entity="MODEL_ROUTE_SPLIT", action="CHANGED"),
    WebhookEvent(entity="MODEL_ROUTE_SWITCH", action="ABORTED"),
]


ONE_IS_ENOUGH = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what is about what is told, and not about how a database takes turns."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    name = "postgres_uri" if request.param == "postgresql" else "sqlite_uri"
    opened = open_database(request.getfixturevalue(name))
    yield opened
    opened.close()


def store_in(database: Database) -> SqlRegistryStore:
    return SqlRegistryStore(database, seal=lambda _model, _version: None, actor="ann")


def hook(database: Database, *events: WebhookEvent, name: str = "hook") -> str:
    request = CreateWebhook(name=name, url="https://hooks.example/", events=list(events))
    made = database.write(lambda c: webhooks.create(c, request, secret="sealed", now_ms=1))
    return made.webhook_id


def told(database: Database) -> list[dict[str, Any]]:
    """Return what waits to be sent, in order."""
    with database.read() as connection:
        query = select(delivery.c.body).order_by(delivery.c.webhook, delivery.c.seq)
        return [msgspec.json.decode(body) for body in connection.execute(query).scalars()]


def kinds(database: Database) -> list[str]:
    return [f"{entry['entity']}.{entry['action']}" for entry in told(database)]


def claimed(
    database: Database, who: str, *, busy: set[str] | None = None, now_ms: int = 100
) -> list[Delivery]:
    return database.write(
        lambda c: outbox.claim(c, who, busy or set(), most=9, now_ms=now_ms, until_ms=now_ms + 1000)
    )


def join(database: Database, *names: str) -> None:
    """Let these workers be alive."""
    row = {"host": "h", "idx": 0, "pid": 1, "state": "serving", "started_at": 0, "heartbeat_at": 0}
    rows = [{"id": name, **row} for name in names]
    database.write(lambda c: c.execute(worker.insert(), rows) and None)


def test_a_change_is_told_with_what_it_was(database: Database) -> None:
    hook(database, *EVERYTHING)
    store = store_in(database)
    store.create_model(CreateModel(name="A", tags=[Tag(key="team", value="x")]))
    store.create_version(CreateVersion(name="A", source=SOURCE, description="d"))
    store.set_version_tag(SetVersionTag(name="A", version="1", key="k", value="v"))
    store.delete_version_tag(DeleteVersionTag(name="A", version="1", key="k"))
    store.delete_version_tag(DeleteVersionTag(name="A", version="1", key="not there"))
    store.set_alias(SetAlias(name="A", alias="champion", version="1"))
    store.delete_alias("A", "champion")
    store.delete_alias("A", "not there")
    store.transition_stage(TransitionStage(name="A", version="1", stage="staging"))

    data = [(f"{e['entity']}.{e['action']}", e["data"]) for e in told(database)]

    version = {"name": "A", "version": "1"}
    moved = {"from_stage": "None", "to_stage": "Staging", "actor": "ann", "reason": ""}
    described: dict[str, Any] = {"source": SOURCE, "run_id": None, "tags": {}, "description": "d"}
    assert data == [
        (
            "registered_model.created",
            {"name": "A", "tags": {"team": "x"}, "description": None},
        ),
        ("model_version.created", {**version, **described}),
        ("model_version_tag.set", {**version, "key": "k", "value": "v"}),
        ("model_version_tag.deleted", {**version, "key": "k"}),
        ("model_version_alias.created", {**version, "alias": "champion"}),
        ("model_version_alias.deleted", {"name": "A", "alias": "champion"}),
        ("model_version_stage.transitioned", {**version, **moved}),
    ]


@ONE_IS_ENOUGH
def test_prompts_are_told_as_prompts(database: Database) -> None:
    hook(database, *EVERYTHING)
    store = store_in(database)
    is_prompt = Tag(key="mlflow.prompt.is_prompt", value="true")
    text = Tag(key="mlflow.prompt.text", value="Hello {{name}}!")
    store.create_model(CreateModel(name="P", tags=[is_prompt, Tag(key="a", value="b")]))
    store.create_version(CreateVersion(name="P", source="dummy-source", tags=[is_prompt, text]))
    store.set_model_tag(SetModelTag(name="P", key="k", value="v"))
    store.set_alias(SetAlias(name="P", alias="x", version="1"))

    entries = told(database)

    assert kinds(database) == [
        "prompt.created",
        "prompt_version.created",
        "prompt_tag.set",
        "prompt_alias.created",
    ]
    assert entries[0]["data"] == {"name": "P", "tags": {"a": "b"}, "description": None}
    assert entries[1]["data"]["template"] == "Hello {{name}}!"


@ONE_IS_ENOUGH
def test_routes_are_told_when_they_are_committed_and_switches_when_they_abort(
    database: Database,
) -> None:
    fleet = FleetOfTwo(database)
    hook(database, *EVERYTHING[-4:])
    fleet.store.transition_stage(TransitionStage(name="A", version="1", stage="Production"))
    before = kinds(database)
    fleet.all_prepared()
    fleet.store.transition_stage(TransitionStage(name="A", version="2", stage="Production"))
    fleet.say("w0", {2: "segfault"})

    entries = told(database)

    because = {"switch": 1, "epoch": 1, "actor": "ann", "reason": ""}
    assert before == []
    assert kinds(database) == ["model_route.promoted", "model_route_switch.aborted"]
    assert entries[0]["data"] == {
        "name": "A",
        "version": "1",
        "previous_version": None,
        **because,
    }
    assert entries[1]["data"]["why"] == "segfault"


@ONE_IS_ENOUGH
def test_a_promotion_a_rollback_and_a_split_are_told_apart(database: Database) -> None:
    fleet = FleetOfTwo(database, versions=2)
    hook(database, *EVERYTHING[-5:])
    cause = Cause("ann", "", 1)
    for version in (1, 2):
        fleet.promote(PromotionOrder("A", version=version))
        fleet.all_prepared()
    with database.read() as connection:
        back = promotion.plan_rollback(connection, "A")
    fleet.promote(back)
    fleet.all_prepared()
    share = ("Staging", 500)
    database.write(lambda c: promotion.set_split(c, "A", share, cause, timeout_ms=9) and None)

    routes = [e["data"] for e in told(database) if e["entity"].startswith("model_route")]

    assert kinds(database) == [
        "model_version_stage.transitioned",
        "model_route.promoted",
        *["model_version_stage.transitioned"] * 2,
        "model_route.promoted",
        *["model_version_stage.transitioned"] * 2,
        "model_route.rolled_back",
        "model_route_split.changed",
    ]
    assert [(e["version"], e["previous_version"]) for e in routes[:3]] == [
        ("1", None),
        ("2", "1"),
        ("1", "2"),
    ]
    assert (routes[3]["split"]["weight_bp"], routes[3]["previous_split"]) == (500, None)


def test_a_change_that_is_undone_is_not_told(database: Database) -> None:
    hook(database, CREATED)

    def work(connection: Connection) -> None:
        sql_models.create_model(connection, CreateModel(name="A"), Cause("ann", "", 1))
        raise InvalidRequest("second thoughts")

    with pytest.raises(InvalidRequest):
        database.write(work)

    assert told(database) == []
    with pytest.raises(ResourceMissing):
        store_in(database).model("A")


@ONE_IS_ENOUGH
def test_only_active_webhooks_that_asked_are_told(database: Database) -> None:
    hook(database, WebhookEvent(entity="MODEL_ROUTE", action="PROMOTED"), name="other")
    sleeping = hook(database, CREATED, name="sleeping")
    asks = UpdateWebhook(status="DISABLED")
    database.write(lambda c: webhooks.change(c, sleeping, asks, secret=None, now_ms=2))

    store_in(database).create_model(CreateModel(name="A"))

    assert told(database) == []


def test_deliveries_of_a_model_are_claimed_one_after_the_other(database: Database) -> None:
    join(database, "w0", "w1")
    hook(database, CREATED, WebhookEvent(entity="MODEL_VERSION", action="CREATED"))
    store = store_in(database)
    store.create_model(CreateModel(name="A"))
    store.create_version(CreateVersion(name="A", source=SOURCE))
    store.create_model(CreateModel(name="B"))

    first = claimed(database, "w0")
    other = claimed(database, "w1")
    third = claimed(database, "w0")
    database.write(lambda c: outbox.settle(c, first[0]))
    following = claimed(database, "w1")

    assert [d.seq for d in first + other + third + following] == [1, 3, 2]


@ONE_IS_ENOUGH
def test_what_waits_for_its_next_attempt_holds_up_only_its_model(database: Database) -> None:
    join(database, "w0")
    hook(database, CREATED, WebhookEvent(entity="MODEL_VERSION", action="CREATED"))
    store = store_in(database)
    store.create_model(CreateModel(name="A"))
    store.create_version(CreateVersion(name="A", source=SOURCE))
    (first,) = claimed(database, "w0")
    database.write(lambda c: outbox.postpone(c, first, "down", next_at=5000))
    store.create_model(CreateModel(name="B"))

    (other,) = claimed(database, "w0")
    database.write(lambda c: outbox.settle(c, other))
    none = claimed(database, "w0", now_ms=4999)
    again = claimed(database, "w0", now_ms=5000)

    assert none == []
    assert [(d.seq, d.attempts) for d in [other, *again]] == [(3, 1), (1, 2)]
    assert again[0].id == first.id


def test_two_workers_never_claim_the_same(database: Database) -> None:
    names = [f"w{n}" for n in range(4)]
    join(database, *names)
    hook(database, CREATED)
    store = store_in(database)
    for number in range(12):
        store.create_model(CreateModel(name=f"m{number}"))

    def drain(name: str) -> list[Delivery]:
        return [found for _ in range(12) for found in claimed(database, name)]

    with ThreadPoolExecutor(len(names)) as pool:
        every = [d.seq for batch in pool.map(drain, names) for d in batch]

    assert sorted(every) == list(range(1, 13))


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_claim_ends_with_its_worker_or_its_time(database: Database, *, is_gone: bool) -> None:
    join(database, "w0", "w1")
    hook(database, CREATED)
    store_in(database).create_model(CreateModel(name="A"))
    (first,) = claimed(database, "w0")
    held = claimed(database, "w1")

    if is_gone:
        database.write(lambda c: c.execute(delete(worker).where(worker.c.id == "w0")) and None)
    again = claimed(database, "w1", now_ms=100 if is_gone else 1101)
    late = database.write(lambda c: outbox.settle(c, first))

    assert held == []
    assert [(d.id, d.attempts) for d in again] == [(first.id, 2)]
    assert late is False


@ONE_IS_ENOUGH
def test_a_busy_webhook_is_left_alone(database: Database) -> None:
    join(database, "w0")
    busy = hook(database, CREATED)
    free = hook(database, CREATED, name="free")
    store_in(database).create_model(CreateModel(name="A"))

    found = claimed(database, "w0", busy={busy})

    assert [d.webhook for d in found] == [free]


def test_the_oldest_go_when_too_many_wait(database: Database) -> None:
    hook(database, CREATED)
    store = store_in(database)
    store.create_model(CreateModel(name="a"))
    most = update(webhook).values(last_seq=outbox.MOST_PENDING - 1)
    database.write(lambda c: c.execute(most) and None)

    store.create_model(CreateModel(name="b"))
    before = [entry["data"]["name"] for entry in told(database)]
    store.create_model(CreateModel(name="c"))

    with database.read() as connection:
        waiting = outbox.waiting(connection)
    assert before == ["a", "b"]
    assert [entry["data"]["name"] for entry in told(database)] == ["b", "c"]
    assert (waiting.pending, waiting.dropped) == (2, 1)


@ONE_IS_ENOUGH
def test_a_deleted_webhook_takes_what_waits_along(database: Database) -> None:
    webhook_id = hook(database, CREATED)
    store_in(database).create_model(CreateModel(name="A"))

    database.write(lambda c: webhooks.remove(c, webhook_id))

    assert told(database) == []


def test_a_webhook_that_is_not_there_is_missing(database: Database) -> None:
    calls: list[Callable[[Connection], object]] = [
        lambda c: webhooks.one(c, "x"),
        lambda c: webhooks.one(c, "a\x00b"),
        lambda c: webhooks.remove(c, "x"),
        lambda c: webhooks.change(c, "x", UpdateWebhook(), secret=None, now_ms=1),
    ]
    for call in calls:
        with pytest.raises(ResourceMissing, match="Webhook with ID"):
            database.write(call)


def test_pages_of_webhooks_follow_each_other(database: Database) -> None:
    ids = {hook(database, CREATED, name=f"h{number}") for number in range(5)}
    seen: list[str] = []
    token: str | None = None
    while True:
        with database.read() as connection:
            page = webhooks.page(connection, 2, token)
        seen += [made.webhook_id for made in page.webhooks]
        token = page.next_page_token
        if token is None:
            break

    assert (len(seen), set(seen)) == (5, ids)
