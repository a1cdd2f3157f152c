"""Everything a webhook can be told of, and what it is told. Pure.

The first table is MLflow's, whose clients know no other entity; the second is ours, for what MLflow
has no event for. Functions below make the ``data`` of each, as it is at the moment of the change.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from registry.planning import Move
from registry.route import Route
from registry.webhook_wire import WebhookEvent
from registry.wire import CreateModel, CreateVersion
from tracking.errors import InvalidRequest
from tracking.wire import Tag

FIELD_EVENTS: Mapping[str, tuple[str, ...]] = {
    "REGISTERED_MODEL": ("CREATED",),
    "MODEL_VERSION": ("CREATED",),
    "MODEL_VERSION_TAG": ("SET", "DELETED"),
    "MODEL_VERSION_ALIAS": ("CREATED", "DELETED"),
    "PROMPT": ("CREATED",),
    "PROMPT_VERSION": ("CREATED",),
    "PROMPT_TAG": ("SET", "DELETED"),
    "PROMPT_VERSION_TAG": ("SET", "DELETED"),
    "PROMPT_ALIAS": ("CREATED", "DELETED"),
    "BUDGET_POLICY": ("EXCEEDED",),
}
"""MLflow's. Budgets are accepted, as MLflow accepts them, and nothing here exceeds one."""

OWN_EVENTS: Mapping[str, tuple[str, ...]] = {
    "MODEL_VERSION_STAGE": ("TRANSITIONED",),
    "MODEL_ROUTE": ("PROMOTED", "ROLLED_BACK"),
    "MODEL_ROUTE_SPLIT": ("CHANGED",),
    "MODEL_ROUTE_SWITCH": ("ABORTED",),
}
"""Ours: a stage moved, other traffic than before, a switch that came to nothing."""

_EVENTS = {**FIELD_EVENTS, **OWN_EVENTS}
_PROMPT_TAG = "mlflow.prompt.is_prompt"
_PROMPT_TEXT = "mlflow.prompt.text"
_PROMPT_INNER = frozenset({_PROMPT_TAG, _PROMPT_TEXT, "_mlflow_prompt_type"})

_MODEL = {"name": "example_model"}
_VERSION = {**_MODEL, "version": "1"}
_TAG = {"key": "example_key", "value": "example_value"}
_TEXTS = {"tags": {"example_key": "example_value"}, "description": "An example"}
_SPLIT = {"split_id": "0a1b2c3d", "candidate": "Staging", "weight_bp": 2000}
_BECAUSE = {"switch": 1, "epoch": 1, "actor": "example_actor", "reason": "an example"}
_EXAMPLES: Mapping[str, dict[str, Any]] = {
    "REGISTERED_MODEL": {**_MODEL, **_TEXTS},
    "MODEL_VERSION": {**_VERSION, "source": "models:/m-1", "run_id": "0a1b2c3d", **_TEXTS},
    "MODEL_VERSION_TAG": {**_VERSION, **_TAG},
    "MODEL_VERSION_ALIAS": {**_VERSION, "alias": "example_alias"},
    "PROMPT": {**_MODEL, **_TEXTS},
    "PROMPT_VERSION": {**_VERSION, "template": "Hello {{name}}!", **_TEXTS},
    "PROMPT_TAG": {**_MODEL, **_TAG},
    "PROMPT_VERSION_TAG": {**_VERSION, **_TAG},
    "PROMPT_ALIAS": {**_VERSION, "alias": "example_alias"},
    "BUDGET_POLICY": {"budget_policy_id": "example_policy"},
    "MODEL_VERSION_STAGE": {
        **_VERSION,
        "from_stage": "Staging",
        "to_stage": "Production",
        "actor": "example_actor",
        "reason": "an example",
    },
    "MODEL_ROUTE": {**_VERSION, "previous_version": None, **_BECAUSE},
    "MODEL_ROUTE_SPLIT": {**_MODEL, "split": _SPLIT, "previous_split": None, **_BECAUSE},
    "MODEL_ROUTE_SWITCH": {**_MODEL, "why": "it could not be loaded", **_BECAUSE},
}


class Happening(Struct, frozen=True):
    """Something that webhooks may be told of.

    Args:
        model: Whose it is: deliveries of one model keep their order.
        event: Which kind.
        data: What to tell.
    """

    model: str
    event: WebhookEvent
    data: dict[str, Any]


def check_event(event: WebhookEvent) -> WebhookEvent:
    """Return an event if it is one of the tables.

    Raises:
        InvalidRequest: There is no such entity, or it has no such action.
    """
    actions = _EVENTS.get(event.entity)
    if actions is None:
        names = ", ".join(_EVENTS)
        raise InvalidRequest(f"Invalid webhook entity {event.entity[:100]!r}: use one of {names}.")
    if event.action not in actions:
        raise InvalidRequest(
            f"Invalid webhook action {event.action[:100]!r} for {event.entity}: use one of "
            f"{', '.join(actions)}."
        )
    return event


def is_of_field(event: WebhookEvent) -> bool:
    """Say whether MLflow's own clients know an event."""
    return event.entity in FIELD_EVENTS


def example_of(event: WebhookEvent) -> Happening:
    """Return what a test of a webhook tells."""
    data = dict(_EXAMPLES[event.entity])
    if event.action == "DELETED":
        gone = "value" if "value" in data else "version"
        data.pop(gone, None)
    return Happening(str(data.get("name", "")), event, data)


def body_of(happening: Happening, *, now_ms: int) -> str:
    """Return the JSON that is sent, whole: a retry sends the same bytes."""
    at = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
    content = {
        "entity": happening.event.entity.lower(),
        "action": happening.event.action.lower(),
        "timestamp": at.isoformat(),
        "data": happening.data,
    }
    return msgspec.json.encode(content).decode()


def model_created(request: CreateModel) -> Happening:
    """Tell of a new model, or prompt."""
    is_prompt = is_prompt_of(request.tags)
    data = {
        "name": request.name,
        "tags": _texts(request.tags, is_prompt=is_prompt),
        "description": request.description or None if is_prompt else request.description,
    }
    return Happening(request.name, _kind("REGISTERED_MODEL", "CREATED", is_prompt=is_prompt), data)


def version_created(request: CreateVersion, version: int, run_id: str | None) -> Happening:
    """Tell of a new version of a model or prompt."""
    is_prompt = is_prompt_of(request.tags)
    data: dict[str, Any] = {"name": request.name, "version": str(version)}
    if is_prompt:
        data["template"] = {tag.key: tag.value for tag in request.tags}.get(_PROMPT_TEXT)
    else:
        data |= {"source": request.source, "run_id": run_id or None}
    data |= {
        "tags": _texts(request.tags, is_prompt=is_prompt),
        "description": request.description or None,
    }
    return Happening(request.name, _kind("MODEL_VERSION", "CREATED", is_prompt=is_prompt), data)


def prompt_tag_changed(name: str, key: str, value: str | None) -> Happening:
    """Tell of a tag of a prompt; without a value it is gone."""
    data = {"name": name, **_tag(key, value)}
    return Happening(name, WebhookEvent(entity="PROMPT_TAG", action=_set_or_gone(value)), data)


def version_tag_changed(
    of: tuple[str, int], key: str, value: str | None, *, is_prompt: bool
) -> Happening:
    """Tell of a tag of a version; without a value it is gone."""
    name, version = of
    data = {"name": name, "version": str(version), **_tag(key, value)}
    event = _kind("MODEL_VERSION_TAG", _set_or_gone(value), is_prompt=is_prompt)
    return Happening(name, event, data)


def alias_changed(name: str, alias: str, version: int | None, *, is_prompt: bool) -> Happening:
    """Tell of an alias that points at a version; without one it is gone."""
    data = {"name": name, "alias": alias}
    if version is not None:
        data["version"] = str(version)
    action = "DELETED" if version is None else "CREATED"
    return Happening(name, _kind("MODEL_VERSION_ALIAS", action, is_prompt=is_prompt), data)


def stage_moved(model: str, move: Move, *, actor: str, reason: str) -> Happening:
    """Tell of a version that carries another stage."""
    data = {
        "name": model,
        "version": str(move.version),
        "from_stage": move.from_stage,
        "to_stage": move.to_stage,
        "actor": actor,
        "reason": reason,
    }
    return Happening(model, _own("MODEL_VERSION_STAGE", "TRANSITIONED"), data)


def route_committed(
    model: str, before: Route, after: Route, because: Mapping[str, Any], *, is_rollback: bool
) -> list[Happening]:
    """Tell of a committed route: another version answers, or another share of the traffic is split.

    Args:
        model: Whose route.
        before: The route until now.
        after: The route from now on.
        because: Its switch and epoch, and who asked and why.
        is_rollback: Whether it was asked for as a rollback.
    """
    told = []
    if after.production not in (None, before.production):
        previous = None if before.production is None else str(before.production)
        data = {"name": model, "version": str(after.production), "previous_version": previous}
        action = "ROLLED_BACK" if is_rollback else "PROMOTED"
        told.append(Happening(model, _own("MODEL_ROUTE", action), {**data, **because}))
    if after.split != before.split:
        shares = {"name": model, "split": after.split, "previous_split": before.split}
        told.append(Happening(model, _own("MODEL_ROUTE_SPLIT", "CHANGED"), {**shares, **because}))
    return told


def switch_aborted(model: str, why: str | None, because: Mapping[str, Any]) -> Happening:
    """Tell of a switch that was given up; the route before it stands."""
    data = {"name": model, "why": why, **because}
    return Happening(model, _own("MODEL_ROUTE_SWITCH", "ABORTED"), data)


def is_prompt_of(tags: Sequence[Tag]) -> bool:
    """Say whether these are the tags of a prompt: the last value of a key counts."""
    return {tag.key: tag.value for tag in tags}.get(_PROMPT_TAG, "").lower() == "true"


def _own(entity: str, action: str) -> WebhookEvent:
    return WebhookEvent(entity=entity, action=action)


def _kind(entity: str, action: str, *, is_prompt: bool) -> WebhookEvent:
    if is_prompt:
        entity = {"REGISTERED_MODEL": "PROMPT", "MODEL_VERSION_ALIAS": "PROMPT_ALIAS"}.get(
            entity, entity.replace("MODEL_VERSION", "PROMPT_VERSION")
        )
    return WebhookEvent(entity=entity, action=action)


def _texts(tags: Sequence[Tag], *, is_prompt: bool) -> dict[str, str]:
    hidden = _PROMPT_INNER if is_prompt else frozenset[str]()
    return {tag.key: tag.value for tag in tags if tag.key not in hidden}


def _tag(key: str, value: str | None) -> dict[str, str]:
    return {"key": key} if value is None else {"key": key, "value": value}


def _set_or_gone(value: str | None) -> str:
    return "DELETED" if value is None else "SET"
