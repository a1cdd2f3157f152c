"""What users of ``tritonclient.grpc`` do, by the real client in an environment of its own.

Called as ``triton_grpc_calls.py <answers.json>``; the server's gRPC address is in the environment.
"""

import asyncio
import json
import queue
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc.aio as grpc_aio
from tritonclient import grpc
from tritonclient.utils import np_to_triton_dtype

from tests.interop.triton_calls import ADDRESS, refused, tell

PATIENCE_S = 30.0


def given(name: str, array: Any) -> Any:
    tensor = grpc.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    return tensor


def typed(name: str, array: Any, field: str) -> Any:
    """Return an input whose values stand in ``contents``, as other clients send them."""
    tensor = grpc.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    getattr(tensor._get_tensor().contents, field).extend(array.ravel().tolist())  # noqa: SLF001
    return tensor


def infer(client: Any) -> dict[str, Any]:
    """Send each kind of tensor."""
    sent = {
        "sum": ("sum", "input", np.array([[1.5, 2.0, -3.0], [0.0, 0.25, 1e300]])),
        "halves": ("any", "input", np.array([[0.5, -2.0]], np.float16)),
        "flags": ("any", "input", np.array([[True, False]])),
        "longs": ("any", "input", np.array([[2**53 + 1], [-(2**63)]])),
        "shout": ("shout", "text", np.array(["grüezi", ""], object)),
    }
    told: dict[str, Any] = {
        kind: tell(client.infer(model, [given(name, array)]).as_numpy("output"))
        for kind, (model, name, array) in sent.items()
    }
    row = typed("input", np.ones((1, 3)), "fp64_contents")
    long = typed("input", np.array([[2**53 + 1]]), "int64_contents")
    # The client's own reader wants raw outputs, which only raw inputs are answered with.
    [output] = client.infer("sum", [row]).get_response().outputs
    told["typed"] = list(output.contents.fp64_contents)
    [output] = client.infer("any", [long]).get_response().outputs
    told["typed long"] = list(output.contents.int64_contents)
    columns = [
        given("rooms", np.array([2])),
        given("city", np.array(["Bern"], object)),
        given("price", np.array([10.5])),
    ]
    wanted = [grpc.InferRequestedOutput("total")]
    result = client.infer(
        "rent", columns, outputs=wanted, request_id="r1", priority=1, timeout=5_000_000,
        parameters={"own": "ignored"},
    )  # fmt: skip
    told["columns"] = tell(result.as_numpy("total"))
    told["label"] = result.as_numpy("label") is None
    told["id"] = result.get_response().id
    return told


def infer_async(client: Any) -> list[float]:
    """Send twenty requests at once."""
    done: queue.Queue[Any] = queue.Queue()
    for number in range(20):
        row = [given("input", np.full((1, 3), float(number)))]
        client.async_infer("sum", row, callback=lambda result, error: done.put((result, error)))
    answers = [done.get(timeout=PATIENCE_S) for _ in range(20)]
    assert all(error is None for _, error in answers), answers
    return sorted(float(result.as_numpy("output")[0]) for result, _ in answers)


def infer_stream(client: Any) -> list[Any]:
    """Send three requests over one stream, the second of which is refused."""
    done: queue.Queue[Any] = queue.Queue()
    client.start_stream(callback=lambda result, error: done.put((result, error)))
    for model in ("sum", "nobody", "sum"):
        client.async_stream_infer(model, [given("input", np.ones((1, 3)))])
    told = []
    for _ in range(3):
        result, error = done.get(timeout=PATIENCE_S)
        told.append(error.message() if error else float(result.as_numpy("output")[0]))
    client.stop_stream()
    return told


def said(result: Any) -> list[Any]:
    """Return the words or numbers of a response, and whether it is the last of its request."""
    response = result.get_response()
    words = [tell(result.as_numpy(output.name))[2] for output in response.outputs]
    return [*words, response.parameters["triton_final_response"].bool_param]


def text(words: str) -> list[Any]:
    return [given("text_input", np.array([[words]], object))]


def talk(client: Any) -> dict[str, Any]:
    """Leave a talk, and then have several over one stream, beside an answer that is whole."""
    done: queue.Queue[Any] = queue.Queue()
    client.start_stream(callback=lambda result, error: done.put((result, error)))
    client.async_stream_infer("poet", text("forever"), parameters={"stream": True})
    done.get(timeout=PATIENCE_S)
    client.stop_stream(cancel_requests=True)
    done = queue.Queue()
    client.start_stream(callback=lambda result, error: done.put((result, error)))
    ask, plain = client.async_stream_infer, {"stream": True}
    ask("poet", text("so it is"), request_id="ended", enable_empty_final_response=True)
    ask("poet", text("so it is"), request_id="plain", parameters=plain)
    ask("poet", text("so fail"), request_id="failed", parameters=plain)
    ask("poet", text("forever"), request_id="late", parameters=plain, timeout=100_000)
    ones = [given("input", np.ones((1, 3)))]
    ask("sum", ones, request_id="whole", enable_empty_final_response=True)
    client.stop_stream()
    told: dict[str, Any] = {"errors": []}
    while not done.empty():
        result, error = done.get()
        if error is None:
            told.setdefault(result.get_response().id, []).append(said(result))
        else:
            told["errors"].append(error.message())
    told["late"] = told["late"][0]
    return told


async def talk_by_asyncio() -> list[Any]:
    """Have one talk by the other of the two clients."""

    async def requests() -> AsyncIterator[dict[str, Any]]:
        yield {"model_name": "poet", "inputs": text("to be"), "parameters": {"stream": True}}

    async with grpc_aio.InferenceServerClient(ADDRESS) as client:
        pieces = client.stream_infer(requests(), stream_timeout=PATIENCE_S)
        return [
            said(result) if error is None else error.message() async for result, error in pieces
        ]


def refusals(client: Any) -> dict[str, Any]:
    """Ask for what cannot be answered."""
    three = [given("input", np.ones((1, 3)))]
    short = grpc.InferInput("input", [2, 3], "FP64")
    short._raw_content = np.ones(3).tobytes()  # noqa: SLF001 - the client would not send this
    return {
        "model": refused(lambda: client.infer("nobody", three)),
        "version": refused(lambda: client.infer("sum", three, model_version="9")),
        "shape": refused(lambda: client.infer("sum", [given("input", np.ones((1, 2)))])),
        "bytes": refused(lambda: client.infer("sum", [short])),
        "nothing": refused(lambda: client.infer("sum", [grpc.InferInput("input", [1, 3], "FP64")])),
        "unload": refused(lambda: client.unload_model("sum")),
        "config": refused(lambda: client.load_model("sum", config="{}")),
        "whole": refused(lambda: client.infer("poet", text("so it is"))),
        "statistics": refused(client.get_inference_statistics),
    }


def look(client: Any) -> dict[str, Any]:
    """Ask about server and models."""
    metadata = client.get_model_metadata("sum", as_json=True)
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "models": [client.is_model_ready("sum"), client.is_model_ready("nobody")],
        "server": list(client.get_server_metadata().extensions),
        "inputs": metadata["inputs"],
        "versions": metadata["versions"],
    }


def states(client: Any) -> list[list[str]]:
    """Return what the index says of ``sum``."""
    index = client.get_model_repository_index().models
    return [[one.version, one.state] for one in index if one.name == "sum"]


def main(answers: Path) -> None:
    """Do all of it and write what was answered."""
    with grpc.InferenceServerClient(ADDRESS) as client:
        client.load_model("sum/versions/2")
        told: dict[str, Any] = {"loaded": states(client), "infer": infer(client)}
        told |= {"async": infer_async(client), "stream": infer_stream(client)}
        told |= {"talk": talk(client), "talk aio": asyncio.run(talk_by_asyncio())}
        told |= {"looked": look(client), "refused": refusals(client)}
    answers.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
