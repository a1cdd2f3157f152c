"""The answers of two servers to the same calls, side by side, field by field. Pure.

What must differ is made equal first: ids by the call that tells them first, the server's own
times, names it draws, page tokens, and the order of lists that have none. Not compared is which
workspace a thing is in (we have one), and why a version cannot be served (MLflow does not look).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

Answers = Mapping[str, Mapping[str, Any]]

_ID = re.compile(r"[0-9a-f]{32}")
_DRAWN_NAME = re.compile(r"[a-z]+-[a-z]+-\d{1,4}")
_TIMES = {
    "creation_time", "last_update_time", "creation_timestamp", "last_updated_timestamp",
    "creation_timestamp_ms", "last_updated_timestamp_ms", "start_time",
}  # fmt: skip
_UNORDERED = {
    "params", "tags", "aliases", "latest_versions", "dataset_summaries", "model_outputs",
}  # fmt: skip
_SORT_KEYS = ("version", "key", "alias", "step", "digest")
_OURS = {"workspace", "status_message"}
_LONGEST = 300
_THIS_CENTURY_MS = 1_600_000_000_000


class Difference(Struct, frozen=True):
    """One field that two servers answer differently. Immutable."""

    call: str
    field: str
    theirs: str
    ours: str


def compare(theirs: Answers, ours: Answers) -> list[Difference]:
    """Return what differs, in the order of the calls, after making equal what must differ."""
    left, right = normalized(theirs), normalized(ours)
    found = []
    for call in dict.fromkeys([*left, *right]):
        pairs = _differences("", left.get(call), right.get(call))
        found += [Difference(call, field, _shown(a), _shown(b)) for field, a, b in pairs]
    return found


def normalized(answers: Answers) -> dict[str, Any]:
    """Return answers without what differs from one server to the next."""
    ids: dict[str, str] = {}
    equal: dict[str, Any] = {}
    for call, answer in answers.items():
        new = dict.fromkeys(_ID.findall(json.dumps(answer, sort_keys=True)))
        for number, id_ in enumerate(id_ for id_ in new if id_ not in ids):
            ids[id_] = f"<id {number} of {call}>"
        equal[call] = _normal(dict(answer), "", ids)
    return equal


def _normal(value: Any, key: str, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        fields = ((name, _normal_field(value, name, ids)) for name in sorted(value))
        return {name: field for name, field in fields if name not in _OURS}
    if isinstance(value, list):
        return [_normal(item, key, ids) for item in value]
    if isinstance(value, str):
        return _normal_text(value, key, ids)
    is_time = key in _TIMES and isinstance(value, int) and value > _THIS_CENTURY_MS
    return "<time>" if is_time else value


def _normal_field(parent: dict[str, Any], name: str, ids: dict[str, str]) -> Any:
    value = _normal(parent[name], name, ids)
    is_data = name == "metrics" and ("params" in parent or "tags" in parent)
    if isinstance(value, list) and (name in _UNORDERED or is_data):
        return sorted(value, key=_sort_key)
    return value


def _sort_key(item: Any) -> str:
    """Return what tells entries of one list apart, whatever else they say."""
    told = [item.get(name) for name in _SORT_KEYS] if isinstance(item, dict) else []
    return json.dumps([told, item], sort_keys=True)


def _normal_text(text: str, key: str, ids: dict[str, str]) -> str:
    if key == "next_page_token":
        return "<token>"
    if key in {"run_name", "value", "name"} and _DRAWN_NAME.fullmatch(text):
        return "<name>"
    text = _ID.sub(lambda found: ids[found.group()], text)
    return text if len(text) <= _LONGEST else f"{text[:20]}… of {len(text)} characters"


def _differences(field: str, left: Any, right: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in dict.fromkeys([*left, *right]):
            inner = f"{field}.{name}" if field else name
            yield from _differences(inner, left.get(name), right.get(name))
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for number, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _differences(f"{field}.{number}", one, other)
    elif left != right or type(left) is not type(right):
        yield field, left, right


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
