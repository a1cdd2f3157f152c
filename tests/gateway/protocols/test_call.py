"""Every predict path there is, and the many that are none."""

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.auth.policy import Permission
from gateway.protocols.call import (
    PREDICT_ROUTES,
    Action,
    Call,
    ProtocolName,
    parse_call,
    protocol_of,
)
from registry.references import ByAlias, ByNumber, ByStage, Latest, Live, Ref
from registry.stages import Stage
from tracking.errors import EndpointMissing, InvalidRequest, MethodRefused

NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/:"), min_size=1, max_size=40
)


def infer(protocol: ProtocolName, model: str | None, ref: Ref) -> Call:
    return Call(protocol, Action.INFER, Permission.PREDICT, model, ref)


@pytest.mark.parametrize(
    ("path", "model", "ref"),
    [
        ("/invocations", None, Live()),
        ("/models/iris/invocations", "iris", Live()),
        ("/models/iris/7/invocations", "iris", ByNumber(7)),
        ("/models/iris/STAGING/invocations", "iris", ByStage(Stage.STAGING)),
        ("/models/iris/None/invocations", "iris", ByStage(Stage.NONE)),
        ("/models/iris/Latest/invocations", "iris", Latest()),
        ("/models/iris/@champion/invocations", "iris", ByAlias("champion")),
        ("/models/iris@champion/invocations", "iris", ByAlias("champion")),
        ("/models/iris%40champion/invocations", "iris", ByAlias("champion")),
        ("/models/a@b@champion/invocations", "a@b", ByAlias("champion")),
        ("/models/iris@latest/invocations", "iris", Latest()),
        ("/models/a%40b/Production/invocations", "a@b", ByStage(Stage.PRODUCTION)),
        ("/models/iris%20rf/invocations", "iris rf", Live()),
        ("/models/100%25/invocations", "100%", Live()),
        ("/models/100%2525/invocations", "100%25", Live()),
        ("/models/100%/invocations", "100%", Live()),
        ("/models/%E8%8A%B1/2/invocations", "花", ByNumber(2)),
        ("/models/7/invocations", "7", Live()),
        ("/models/invocations/invocations", "invocations", Live()),
    ],
)
def test_a_scoring_path_names_model_and_version(path: str, model: str | None, ref: Ref) -> None:
    assert parse_call("POST", path.encode()) == infer(ProtocolName.MLFLOW, model, ref)


@pytest.mark.parametrize(
    ("path", "model", "ref"),
    [
        ("/v2/models/iris/infer", "iris", Live()),
        ("/v2/models/iris@x/infer", "iris@x", Live()),
        ("/v2/models/iris/versions/7/infer", "iris", ByNumber(7)),
        ("/v2/models/iris/versions/staging/infer", "iris", ByStage(Stage.STAGING)),
        ("/v2/models/iris/versions/@champion/infer", "iris", ByAlias("champion")),
        ("/v2/models/iris/versions/%40champion/infer", "iris", ByAlias("champion")),
        ("/v2/models/ready/infer", "ready", Live()),
    ],
)
def test_an_infer_path_names_model_and_version(path: str, model: str, ref: Ref) -> None:
    assert parse_call("POST", path.encode()) == infer(ProtocolName.V2, model, ref)


@pytest.mark.parametrize(
    ("path", "action", "permission", "model", "ref"),
    [
        ("/ping", Action.PING, Permission.OPEN, None, Live()),
        ("/v2", Action.SERVER_METADATA, Permission.PREDICT, None, Live()),
        ("/v2/health/live", Action.SERVER_LIVE, Permission.OPEN, None, Live()),
        ("/v2/health/ready", Action.SERVER_READY, Permission.OPEN, None, Live()),
        ("/v2/models/iris", Action.METADATA, Permission.PREDICT, "iris", Live()),
        ("/v2/models/iris/versions/7", Action.METADATA, Permission.PREDICT, "iris", ByNumber(7)),
        ("/v2/models/iris/ready", Action.READY, Permission.PREDICT, "iris", Live()),
        ("/v2/models/iris/versions/7/ready", Action.READY, Permission.PREDICT, "iris", ByNumber(7)),
    ],
)
def test_what_is_only_looked_at_is_a_get(
    path: str, action: Action, permission: Permission, model: str | None, ref: Ref
) -> None:
    call = parse_call("GET", path.encode())

    assert (call.action, call.permission, call.model, call.ref) == (action, permission, model, ref)
    assert parse_call("HEAD", path.encode()) == call


@pytest.mark.parametrize(
    ("path", "model", "ref"),
    [
        ("iris:predict", "iris", Live()),
        ("a%20b:predict", "a b", Live()),
        ("iris/versions/7:predict", "iris", ByNumber(7)),
        ("iris/versions/staging:predict", "iris", ByStage(Stage.STAGING)),
        ("iris/labels/champion:predict", "iris", ByAlias("champion")),
    ],
)
def test_tensorflow_serving_s_paths_end_with_a_verb(path: str, model: str, ref: Ref) -> None:
    call = parse_call("POST", f"/v1/models/{path}".encode())

    assert call == infer(ProtocolName.V1, model, ref)


@pytest.mark.parametrize(("path", "ref"), [("iris", Live()), ("iris/versions/7", ByNumber(7))])
def test_a_status_is_a_get(path: str, ref: Ref) -> None:
    call = parse_call("GET", f"/v1/models/{path}".encode())

    assert (call.protocol, call.action) == (ProtocolName.V1, Action.STATUS)
    assert (call.model, call.ref) == ("iris", ref)


@pytest.mark.parametrize(
    ("path", "ref"), [("iris", Live()), ("iris@champion", ByAlias("champion"))]
)
def test_an_endpoint_is_a_model(path: str, ref: Ref) -> None:
    call = parse_call("POST", f"/endpoints/{path}/invocations".encode())

    assert call == infer(ProtocolName.MLFLOW, "iris", ref)


@pytest.mark.parametrize(
    ("path", "protocol"),
    [
        (b"/v2", ProtocolName.V2),
        (b"/v2/nothing", ProtocolName.V2),
        (b"/v1/models/iris/nothing", ProtocolName.V1),
        (b"/models/iris", ProtocolName.MLFLOW),
    ],
)
def test_a_path_that_is_no_route_is_refused_in_the_shape_of_its_protocol(
    path: bytes, protocol: ProtocolName
) -> None:
    assert protocol_of(path) is protocol


@pytest.mark.parametrize(
    ("path", "action", "model", "ref"),
    [
        ("index", Action.INDEX, None, Live()),
        ("models/iris/load", Action.LOAD, "iris", Live()),
        ("models/iris/versions/7/load", Action.LOAD, "iris", ByNumber(7)),
        ("models/iris/unload", Action.UNLOAD, "iris", Live()),
        ("models/iris/versions/7/unload", Action.UNLOAD, "iris", ByNumber(7)),
    ],
)
def test_the_repository_is_for_administrators(
    path: str, action: Action, model: str | None, ref: Ref
) -> None:
    call = parse_call("POST", f"/v2/repository/{path}".encode())

    assert (call.protocol, call.permission) == (ProtocolName.V2, Permission.ADMIN)
    assert (call.action, call.model, call.ref) == (action, model, ref)


@pytest.mark.parametrize("path", ["iris:classify", ":predict", "iris%3Apredict", "iris/labels/x"])
def test_only_the_verb_predict_is_served(path: str) -> None:
    with pytest.raises((MethodRefused, EndpointMissing)):
        parse_call("POST", f"/v1/models/{path}".encode())


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"/models",
        b"/models/",
        b"/models//invocations",
        b"/models/iris",
        b"/models/iris/invocations/",
        b"/models/iris/7/8/invocations",
        b"/models/iris/7//invocations",
        b"//models/iris/invocations",
        b"/models/iris%2Finvocations",
        b"/models/../invocations/x",
        b"/v2/",
        b"/v2/models",
        b"/v2/models//infer",
        b"/v2/models/iris/versions",
        b"/v2/health",
        b"/v2/repository",
        b"/v2/repository/models/iris",
        b"/v1/models",
        b"/v1/models/iris:predict/x",
        b"/Invocations",
        b"\xff\xfe",
    ],
)
def test_any_other_path_is_no_endpoint(path: bytes) -> None:
    with pytest.raises(EndpointMissing, match="No predict route has the path"):
        parse_call("POST", path)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", b"/models/iris/invocations", "use POST"),
        ("DELETE", b"/v2/models/iris/infer", "use POST"),
        ("POST", b"/v2/models/iris", "use GET, HEAD"),
        ("POST", b"/ping", "use GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(method: str, path: bytes, allowed: str) -> None:
    with pytest.raises(MethodRefused, match=allowed):
        parse_call(method, path)


@pytest.mark.parametrize(
    "path",
    [
        b"/models/ir%00is/invocations",
        b"/models/ir%0Ais/invocations",
        b"/models/ir%7Fis/invocations",
        b"/models/ir%C2%85is/invocations",
        b"/models/%FF/invocations",
        b"/models/%ED%A0%80/invocations",
        b"/models/a%2Fb/invocations",
        b"/models/a%3Ab/invocations",
        b"/models/@champion/invocations",
        b"/models/iris@/invocations",
        b"/models/iris/champion/invocations",
        b"/models/iris/-1/invocations",
        b"/models/iris/%D9%A3/invocations",
        b"/models/iris/@/invocations",
        b"/models/iris/@a%2Fb/invocations",
        b"/models/iris/%40%00/invocations",
    ],
)
def test_what_can_be_no_name_or_version_is_refused(path: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_call("POST", path)


@settings(deadline=None)  # cores are shared
@given(model=NAMES)
def test_every_name_can_be_reached_in_both_protocols(model: str) -> None:
    segment = quote(model, safe="").encode()

    scoring = parse_call("POST", b"/models/" + segment + b"/3/invocations")
    infer_call = parse_call("POST", b"/v2/models/" + segment + b"/infer")

    assert scoring == infer(ProtocolName.MLFLOW, model, ByNumber(3))
    assert infer_call == infer(ProtocolName.V2, model, Live())


@settings(deadline=None)  # cores are shared
@given(st.sampled_from(["GET", "POST", "PUT"]), st.binary(max_size=60))
def test_no_path_at_all_raises_anything_but_a_refusal(method: str, tail: bytes) -> None:
    for path in (tail, b"/models/" + tail, b"/v2/models/" + tail, b"/models/" + tail + b"/x"):
        with suppress(EndpointMissing, MethodRefused, InvalidRequest):
            parse_call(method, path)


def test_a_path_too_long_to_be_kept_is_parsed_all_the_same() -> None:
    model = "m" * 3000

    call = parse_call("POST", f"/models/{model}/invocations".encode())

    assert call == infer(ProtocolName.MLFLOW, model, Live())


def test_every_route_of_the_table_leads_to_its_own_action() -> None:
    for route in PREDICT_ROUTES:
        path = route.pattern.format(model="iris", ref="7", alias="champion")

        call = parse_call(route.methods[0], path.encode())

        assert (call.protocol, call.action) == (route.protocol, route.action)
        assert call.permission is route.permission
