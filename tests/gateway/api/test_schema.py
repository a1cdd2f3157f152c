import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar, get, put
from litestar.params import FromPath
from litestar.testing import TestClient
from msgspec import Struct

from gateway.api.permissions import check_permissions
from gateway.api.refusals import EXCEPTION_HANDLERS
from gateway.api.schema import StructSchemas, front_door, openapi_config
from gateway.auth.policy import Permission
from gateway.protocols.call import PREDICT_ROUTES


class Thing(Struct):
    """What the answer holds."""

    name: str
    tags: list[str] = []


@get("/things", sync_to_thread=False, opt={"permission": Permission.READ})
def things() -> list[Thing]:
    """List the things."""
    return []


@get("/more/{name:str}", sync_to_thread=True, opt={"permission": Permission.READ})
def more(name: FromPath[str]) -> str:
    return name


@put("/more/{name:str}", sync_to_thread=True, opt={"permission": Permission.ADMIN})
def change(name: FromPath[str]) -> str:
    return name


def application(prefix: str = "") -> Litestar:
    return Litestar(
        [front_door(prefix), things, more, change],
        plugins=[StructSchemas()],
        openapi_config=openapi_config(prefix),
        exception_handlers=EXCEPTION_HANDLERS,
        logging_config=None,
    )


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Any]]:
    with TestClient(application()) as client:
        yield client


def test_the_document_lists_control_and_predict_paths(client: TestClient[Any]) -> None:
    paths = client.get("/schema/openapi.json").json()["paths"]

    assert paths.keys() == {"/things", "/more/{name}", *(route.pattern for route in PREDICT_ROUTES)}
    assert paths["/things"]["get"]["description"] == "List the things."
    infer = paths["/models/{model}/{ref}/invocations"]
    assert [parameter["name"] for parameter in infer["parameters"]] == ["model", "ref"]
    assert infer["post"]["requestBody"]["required"]


def test_a_struct_is_described_by_what_it_needs_and_what_it_may_have(
    client: TestClient[Any],
) -> None:
    schemas = client.get("/schema/openapi.json").json()["components"]["schemas"]

    (thing,) = schemas.values()
    assert thing["required"] == ["name"]
    assert thing["properties"].keys() == {"name", "tags"}


def test_operation_ids_are_unique(client: TestClient[Any]) -> None:
    paths = client.get("/schema/openapi.json").json()["paths"].values()

    ids = [each["operationId"] for item in paths for each in item.values() if "operationId" in each]

    assert len(ids) == len(set(ids))


def test_the_page_needs_nothing_but_this_server(client: TestClient[Any]) -> None:
    page = client.get("/schema")

    wanted = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert "http" not in page.text
    for path in wanted:
        if not path.startswith("data:"):
            assert client.get(path).status_code == 200


def test_behind_a_proxy_the_page_asks_for_its_files_under_the_prefix() -> None:
    with TestClient(application("/mlops")) as client:
        page = client.get("/schema")
        html = {"accept": "text/html,application/xhtml+xml;q=0.9"}
        front = client.get("/", follow_redirects=False, headers=html)

    wanted = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page.text)
    assert {path.partition("/schema/assets/")[0] for path in wanted} == {"/mlops"}
    assert (front.status_code, front.headers["location"]) == (302, "/mlops/schema")


def test_who_is_no_browser_is_told_that_the_server_lives(client: TestClient[Any]) -> None:
    told = client.get("/", follow_redirects=False)

    assert (told.status_code, told.json()) == (200, {"status": "alive"})


def test_the_page_forbids_inline_scripts_and_has_none(client: TestClient[Any]) -> None:
    page = client.get("/schema")

    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert re.findall(r"<script(?![^>]* src=)", page.text) == []
    assert re.findall(r"\son\w+=", page.text) == []


@pytest.mark.parametrize("name", ["x", "schema.js.map", "%2e%2e%2fsettings.py"])
def test_other_files_are_not_there(client: TestClient[Any], name: str) -> None:
    assert client.get(f"/schema/assets/{name}").status_code == 404


def test_every_route_of_the_page_declares_a_permission() -> None:
    check_permissions(application())


def test_two_applications_do_not_share_routes() -> None:
    assert len(application().routes) == len(application().routes)
