"""One call of a runner: who is answered by it, the frame that asks, and what its answer means.

Used by ``runner`` on the event loop.
"""

import asyncio
import time
from collections.abc import Sequence

from msgspec import Struct

from gateway.serving import batching, messages
from gateway.serving.asks import Ask
from gateway.serving.frames import FrameError
from gateway.serving.talking import CREDIT
from registry.tensors import Prediction
from tracking.errors import InvalidRequest, ModelFailed, NotImplementedHere, StagedoorError

_MODEL_ERRORS = {error.code: error for error in (ModelFailed, InvalidRequest, NotImplementedHere)}
"""What a model may say of the rows it got; any other code becomes ModelFailed."""


class Call(Struct, eq=False):
    """What the process is busy with. Event loop only."""

    number: int
    asks: list[Ask]
    watchdog: asyncio.TimerHandle
    called_s: float


def encode_call(
    number: int, asks: Sequence[Ask], *, max_frame_bytes: int
) -> list[bytes | memoryview]:
    """Return the buffers to write for a call.

    Raises:
        FrameError: Its rows cannot be sent.
    """
    batch = batching.join([ask.batch for ask in asks])
    heads, chunks = messages.write_arrays(batch.arrays)
    params, talk = dict(asks[0].params), asks[0].talk
    message: messages.ToRunner
    if talk is None:
        message = messages.Predict(number, batch.names, heads, batch.is_matrix, params)
    else:
        message = messages.Talk(
            *(number, batch.names, heads, batch.is_matrix, params, CREDIT, talk.is_stream),
            document=talk.document,
        )
    return messages.encode(message, chunks, max_frame_bytes=max_frame_bytes)


def read_answer(message: messages.Answer, body: bytearray) -> Prediction:
    """Return what a model answered.

    Raises:
        FrameError: It is no answer.
    """
    arrays = messages.read_arrays(message.heads, body)
    if not arrays or len(message.names) != len(arrays):
        raise FrameError("An answer has no arrays, or not one name for each.")
    return Prediction(message.names, arrays, message.is_table, message.is_whole)


def error_of(answer: messages.Failed) -> StagedoorError:
    """Return what a model said of the rows it got, as an error."""
    error = _MODEL_ERRORS.get(answer.code, ModelFailed)
    return error(messages.tidy(answer.reason))


def note_call(call: Call) -> None:
    """Tell those of a call who are watched how long they waited, and it took."""
    for ask in call.asks:
        if ask.probe is not None:
            ask.probe.note_call(ask.asked_s, call.called_s, time.perf_counter())
