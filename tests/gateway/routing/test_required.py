"""Readiness depends on the models that are required, and on no other."""

import pytest

from gateway.routing.required import why_unready
from gateway.routing.table import ModelRoute, RouteTable
from registry.route import Route, VersionKey, VersionRecord


def entry(model: str, production: int | None) -> ModelRoute:
    record = VersionRecord(VersionKey(model, 1, "d"), "", "Production")
    return ModelRoute(model, 1, Route(production=production), {1: record})


TABLE = RouteTable({"good": entry("good", 1), "bad": entry("bad", 1), "none": entry("none", None)})


@pytest.mark.parametrize(
    ("required", "named"),
    [
        ((), ""),
        (("good",), ""),
        (("good", "bad"), "'bad' is required; its version 1 is not ready here"),
        (("none",), "'none' is required and has no version in Production"),
        (("unheard of",), "'unheard of' is required and has no version in Production"),
        (("*",), "'bad' is required; its version 1 is not ready here"),
    ],
)
def test_only_required_models_count(required: tuple[str, ...], named: str) -> None:
    why = why_unready(TABLE, required, lambda key: key.model != "bad")

    assert why == (f"model {named}" if named else "")


def test_a_server_without_models_has_all_of_them() -> None:
    assert why_unready(RouteTable(), ("*",), lambda _: False) == ""
