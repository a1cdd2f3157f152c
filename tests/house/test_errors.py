"""Every error has a code, and every code a status in one place."""

import re

from gateway.errors import STATUS_BY_CODE
from tests.house.tree import ROOT
from tracking import errors


def test_every_code_has_a_status_and_every_status_a_code() -> None:
    assert STATUS_BY_CODE.keys() == errors.error_classes().keys()


def test_the_tree_in_the_docstring_names_every_error() -> None:
    drawn = set(re.findall(r"(\w+) +[A-Z_]{6,}(?= |$)", errors.__doc__ or "", re.MULTILINE))

    assert drawn == {e.__name__ for e in descendants(errors.StagedoorError)}


def test_no_class_of_error_holds_a_status() -> None:
    source = (ROOT / "tracking/errors.py").read_text(encoding="utf-8")

    assert re.findall(r"\b[45]\d\d\b", source) == []


def descendants(error: type[errors.StagedoorError]) -> set[type[errors.StagedoorError]]:
    """Return a class of error and all beneath it, of our own modules."""
    found = {error}
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            found |= descendants(child)
    return found
