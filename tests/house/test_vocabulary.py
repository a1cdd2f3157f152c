"""One word per thing: what design calls a Run is not a trial, and no drawer is called utils."""

import re
from functools import cache

import pytest

from tests.house.tree import modules, named, names

DRAWERS = frozenset(
    {"utils", "util", "helpers", "helper", "common", "core", "base", "misc", "shared"}
)

WRONG_WORDS = {
    "trial": "Run",
    "revision": "Version",
    "mirror": "Shadow",
    "deployment": "Rollout",
    "arm": "Variant",
    "schema_model": "Signature",
}
"""Words that stand for something that has another name here."""

ALLOWED = {
    "revision": {
        "tracking/schema_history.py",
        "tracking/migrations",
        "tracking/sqlite.py",
        "tracking/postgres.py",
    },
    "mirror": set[str](),
}
"""Alembic's own word is revision."""


@cache
def words(name: str) -> frozenset[str]:
    """Split a name into its words."""
    return frozenset(word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name))


def test_no_module_is_a_drawer() -> None:
    drawers = [named(path) for path in modules() if DRAWERS & {path.stem, path.parent.name}]

    assert drawers == []


@pytest.mark.parametrize("word", sorted(WRONG_WORDS))
def test_no_name_uses_another_word_for_a_thing(word: str) -> None:
    allowed = tuple(ALLOWED.get(word, ()))
    wrong = [
        f"{named(path)}: {name}"
        for path in modules()
        if not (allowed and named(path).startswith(allowed))
        for name in sorted(names(path))
        if word in words(name)
    ]

    assert wrong == [], f"say {WRONG_WORDS[word]}"


def test_words_of_a_name_are_found() -> None:
    assert words("TrialRunner_of_revisions") == {"trial", "runner", "of", "revisions"}
