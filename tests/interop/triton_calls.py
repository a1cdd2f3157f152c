"""What users of ``tritonclient`` do, by the real client in an environment of its own.

Called as ``triton_calls.py <answers.json>``; the server's address is in the environment.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http.aio as http_aio
from tritonclient import http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

ADDRESS = os.environ["SERVER_ADDRESS"]  # noqa: TID251 - a script of a user


def given(name: str, array: Any, *, is_raw: bool = True, datatype: str = "") -> Any:
    tensor = http.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array, binary_data=is_raw)
    return tensor


def tell(array: Any) -> list[Any]:
    """Return dtype, shape and values, as JSON can hold them."""
    values = [v.decode() if isinstance(v, bytes) else v for v in array.ravel().tolist()]
    return [array.dtype.name, list(array.shape), json.loads(json.dumps(values))]


def infer(client: Any) -> dict[str, Any]:
    """Send each kind of tensor, raw and in JSON, and have it back both ways."""
    floats = np.array([[1.5, 2.0, -3.0], [0.0, 0.25, 1e300]])
    texts = np.array(["grüezi", "", "naïve"], object)
    halves = np.array([[0.5, -2.0], [65504.0, 0.25]], np.float16)
    longs = np.array([[2**53 + 1], [-(2**63)], [2**63 - 2]])
    told: dict[str, Any] = {}
    for is_raw in (True, False):
        for wants_raw in (True, False):
            outputs = [http.InferRequestedOutput("output", binary_data=wants_raw)]
            sent = [given("input", floats, is_raw=is_raw)]
            result = client.infer("sum", sent, outputs=outputs, request_id="r1")
            told[f"sum raw={is_raw}/{wants_raw}"] = tell(result.as_numpy("output"))
            sent = [given("text", texts, is_raw=is_raw)]
            result = client.infer("shout", sent, outputs=outputs)
            told[f"shout raw={is_raw}/{wants_raw}"] = tell(result.as_numpy("output"))
    told["id"] = client.infer("sum", [given("input", floats)], request_id="r2").get_response()["id"]
    flags = np.array([[True, False], [False, False]])
    told["flags"] = tell(client.infer("any", [given("input", flags)]).as_numpy("output"))
    told["halves"] = tell(client.infer("any", [given("input", halves)]).as_numpy("output"))
    told["longs"] = tell(client.infer("any", [given("input", longs)]).as_numpy("output"))
    told["infinite"] = tell(
        client.infer("sum", [given("input", np.full((1, 3), np.inf))]).as_numpy("output")
    )
    return told


def infer_columns(client: Any) -> dict[str, Any]:
    """Send several inputs, raw and in JSON in one request, and have two outputs, one each way."""
    inputs = [
        given("rooms", np.array([2, 3])),
        given("city", np.array(["Bern", "Chur"], object), is_raw=False),
        given("price", np.array([10.5, 20.0])),
    ]
    outputs = [
        http.InferRequestedOutput("label", binary_data=False),
        http.InferRequestedOutput("total", binary_data=True),
    ]
    parameters = {"own": "ignored", "nan_as_null": True}
    result = client.infer(
        "rent", inputs, outputs=outputs, priority=1, timeout=5_000_000, sequence_id=7,
        sequence_start=True, parameters=parameters,
    )  # fmt: skip
    return {name: tell(result.as_numpy(name)) for name in ("label", "total")}


def infer_async(address: str) -> list[Any]:
    """Send twenty requests at once over four connections."""
    with http.InferenceServerClient(address, concurrency=4) as client:
        rows = [np.full((1, 3), float(number)) for number in range(20)]
        pending = [client.async_infer("sum", [given("input", row)]) for row in rows]
        return [float(one.get_result().as_numpy("output")[0]) for one in pending]


async def infer_aio(address: str) -> list[Any]:
    """Ask by the client's asyncio twin."""
    async with http_aio.InferenceServerClient(address) as client:
        row = np.ones((1, 3))
        in_json = await client.infer("sum", [given("input", row, is_raw=False)])
        raw = await client.infer("sum", [given("input", row)], model_version="2")
        return [float(one.as_numpy("output")[0]) for one in (in_json, raw)]


def infer_without_head(client: Any) -> list[Any]:
    """Send one raw tensor and nothing else, by the client's own connection."""
    body = np.array([1, 2, 3, 4, 5, 6], "<f8").tobytes()
    headers = {"Inference-Header-Content-Length": "0"}
    answer = client._post("v2/models/sum/infer", body, headers, None)  # noqa: SLF001
    length = int(answer.get("Inference-Header-Content-Length"))
    result = http.InferenceServerClient.parse_response_body(answer.read(), header_length=length)
    return tell(result.as_numpy("output"))


def refused(ask: Callable[[], Any]) -> list[str]:
    """Return status and message of the exception that the client raises."""
    try:
        ask()
    except InferenceServerException as error:
        return [str(error.status()), error.message()]
    return ["answered", ""]


def refusals(client: Any) -> dict[str, Any]:
    """Ask for what cannot be answered."""
    row, three = np.ones((1, 3)), [given("input", np.ones((1, 3)))]
    wanted = [http.InferRequestedOutput("nothing")]
    classes = [http.InferRequestedOutput("output", class_count=2)]
    short = http.InferInput("input", [2, 3], "FP64")
    short._raw_data = row.tobytes()  # noqa: SLF001 - the client itself refuses to send this
    short._parameters["binary_data_size"] = row.nbytes  # noqa: SLF001
    price = [given("price", np.ones(1)), given("town", np.array(["x"], object))]
    return {
        "model": refused(lambda: client.infer("nobody", three)),
        "version": refused(lambda: client.infer("sum", three, model_version="9")),
        "shape": refused(lambda: client.infer("sum", [given("input", np.ones((1, 2)))])),
        "datatype": refused(lambda: client.infer("sum", [given("input", np.ones((1, 3), bool))])),
        "names": refused(lambda: client.infer("rent", price)),
        "output": refused(lambda: client.infer("sum", three, outputs=wanted)),
        "classes": refused(lambda: client.infer("sum", three, outputs=classes)),
        "bytes": refused(lambda: client.infer("sum", [short])),
        "unload": refused(lambda: client.unload_model("sum")),
        "config": refused(lambda: client.load_model("sum", config="{}")),
        "wide": refused(
            lambda: client.infer("any", [given("input", np.array([[2**53 + 1]]), is_raw=False)])
        ),
    }


def look(client: Any) -> dict[str, Any]:
    """Ask about server and models."""
    ready = [client.is_model_ready("sum"), client.is_model_ready("nobody")]
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "models": ready,
        "server": client.get_server_metadata()["extensions"],
        "sum": client.get_model_metadata("sum"),
        "rent": client.get_model_metadata("rent", "1"),
    }


def states(client: Any) -> list[list[str]]:
    """Return what the index says of ``sum``."""
    index = client.get_model_repository_index()
    return [[one["version"], one["state"]] for one in index if one["name"] == "sum"]


def main(answers: Path) -> None:
    """Do all of it and write what was answered."""
    with http.InferenceServerClient(ADDRESS) as client:
        told: dict[str, Any] = {"before": states(client)}
        client.load_model("sum/versions/2")
        told["loaded"] = states(client)
        told["second"] = client.is_model_ready("sum", "2")
        client.unload_model("sum/versions/2")
        while ["2", "UNAVAILABLE"] not in states(client):
            pass  # the test's own deadline ends this
        told["unloaded"] = states(client)
        told |= {"infer": infer(client), "columns": infer_columns(client)}
        told |= {"looked": look(client), "refused": refusals(client)}
        told["headless"] = infer_without_head(client)
    told["async"] = infer_async(ADDRESS)
    told["aio"] = asyncio.run(infer_aio(ADDRESS))
    answers.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
