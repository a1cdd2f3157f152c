"""The process in which one model is loaded and answers: the other end of ``runner``.

Started by ``launch`` with a socket, a lifeline and a folder, and nothing else: no environment, no
database, no secrets. One thread; one call at a time. What the model prints goes to the worker's
log, never into the socket.
"""

import errno
import os
import socket
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from gateway.serving import messages
from gateway.serving.batching import Merged, Merging
from gateway.serving.confinement import confine
from gateway.serving.engines.proof import make_engine
from gateway.serving.frames import Assembler, Frame, FrameError
from gateway.serving.merging import find_merging
from gateway.serving.row_trial import find_row_form
from gateway.serving.runner_talk import talk
from gateway.serving.states import State
from gateway.serving.traces import trace_of
from gateway.serving.warmup import Warmed, warm_up
from registry.loading import LoadedModel, load_folder
from registry.tensors import Batch
from tracking.errors import InvalidRequest, ModelFailed, StagedoorError

_PIECE_BYTES = 1 << 18
_GRAPH = "onnx"
_TRANSIENT_ERRNO = frozenset(
    {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EAGAIN, errno.EINTR}
)


class _Channel:
    """The socket to the worker, speaking messages."""

    def __init__(self, end: socket.socket, max_frame_bytes: int, max_answer_bytes: int) -> None:
        self._end = end
        self._max_answer_bytes = max_answer_bytes
        self._assembler = Assembler(max_frame_bytes)
        self._frames: deque[Frame] = deque()

    def send(self, message: messages.FromRunner, chunks: Sequence[memoryview] = ()) -> None:
        for piece in messages.encode(message, chunks, max_frame_bytes=self._max_answer_bytes):
            self._end.sendall(piece)

    def enter(self, state: State) -> None:
        self.send(messages.Phase(state))

    def frames(self) -> Iterator[Frame]:
        with suppress(EOFError):
            while (frame := self.next_frame(may_wait=True)) is not None:
                yield frame

    def next_frame(self, *, may_wait: bool) -> Frame | None:
        while not self._frames:
            try:
                piece = self._end.recv(_PIECE_BYTES, 0 if may_wait else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            if not piece:
                raise EOFError
            self._frames += self._assembler.feed(piece)
        return self._frames.popleft()


def main(arguments: Sequence[str]) -> int:
    """Load the model and answer until the worker closes the socket."""
    order = msgspec.json.decode(arguments[0], type=messages.Order)
    end = socket.socket(fileno=order.channel)
    confine(order.lifeline, end, memory_bytes=order.memory_bytes)
    channel = _Channel(end, order.max_frame_bytes, order.max_answer_bytes)
    model = _load(channel, order)
    if model is None:
        return 1
    with suppress(EOFError):
        for frame in channel.frames():
            _answer(channel, model, frame)
    return 0


def _load(channel: _Channel, order: messages.Order) -> LoadedModel | None:
    try:
        model = load_folder(Path(order.folder))
        warmed = warm_up(model, calls=order.warm_calls, enter=channel.enter)
        merging = find_merging(model, order.merge)
        why = _convert(channel, model, order, merging)
        channel.send(_ready(model, warmed, why, merging))
    except BaseException as error:  # noqa: BLE001  a model may raise anything, SystemExit too
        traceback.print_exc()
        channel.send(messages.Refused(_describe(error), _is_transient(error)))
        return None
    return model


def _ready(model: LoadedModel, warmed: Warmed, why: str, merging: Merging) -> messages.Ready:
    return messages.Ready(
        model.signature,
        model.flavor,
        warmed.calls,
        why,
        can_talk=model.can_talk,
        takes_documents=model.takes_documents,
        warm_rows=warmed.rows,
        warm_call_s=warmed.call_s,
        merging=merging,
        methods=model.methods,
        example_why=warmed.example_why,
        row_form=find_row_form(model),
    )


def _convert(channel: _Channel, model: LoadedModel, order: messages.Order, merging: Merging) -> str:
    """Make an engine of the model, if one is wanted; return why there is none."""
    if order.engine_folder is None:
        return ""
    # An engine answers all rows of a moment together; other flavors' engines go by rows anyway.
    if model.flavor == _GRAPH and merging.which is Merged.NEVER:
        return f"Its rows may not share a call. {merging.why}"
    channel.send(messages.Converting())
    return make_engine(model, Path(order.engine_folder), order.onnx_tolerance)


def _answer(channel: _Channel, model: LoadedModel, frame: Frame) -> None:
    """Answer one call; a message that is none ends the process, which the worker sees."""
    call = messages.decode_to_runner(frame)
    if isinstance(call, messages.Talk):
        talk(channel, model, call, frame.body)
    elif isinstance(call, messages.Predict):
        _predict(channel, model, call, frame)
    # What was said of a talk may come when that is over.


def _predict(channel: _Channel, model: LoadedModel, call: messages.Predict, frame: Frame) -> None:
    arrays = messages.read_arrays(call.heads, frame.body)
    batch = Batch(call.names, arrays, call.is_matrix)
    try:
        prediction = model.predict_batch(batch, call.params)
        heads, chunks = messages.write_arrays(prediction.arrays)
        kind = prediction.is_table, prediction.is_whole
        answer = messages.Answer(call.call, prediction.names, heads, *kind)
        channel.send(answer, chunks)  # what is too large is refused before anything is sent
    except InvalidRequest as error:
        channel.send(messages.Failed(call.call, error.code, error.message))
        _end_if_out_of_memory(error)
    except ModelFailed as error:
        _fail(channel, call, error.message, error.__cause__ or error)
    except FrameError as error:
        _fail(channel, call, f"The model's answer cannot be sent: {error}", error)
    except Exception as error:  # noqa: BLE001  a model may raise anything
        _fail(channel, call, f"The model raised {type(error).__name__} on these rows.", error)


def _fail(channel: _Channel, call: messages.Predict, reason: str, error: BaseException) -> None:
    channel.send(messages.Failed(call.call, ModelFailed.code, reason, trace_of(error)))
    _end_if_out_of_memory(error)


def _end_if_out_of_memory(error: BaseException) -> None:
    """End at once: a model that keeps what it took would fail every later call, too.

    At once, because threads of the model would be waited for otherwise.
    """
    if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
        os._exit(1)


def _describe(error: BaseException) -> str:
    """Return one sentence for a person who looks at the version."""
    cause = " ".join(str(error).split())
    match error:
        case StagedoorError():
            return cause
        case FrameError():
            return f"The answer to the input example cannot be sent: {cause}"
        case SystemExit():
            return "The model ended its process while it was loaded (SystemExit)."
        case MemoryError():
            return "There was not enough memory to load the model."
        case ImportError():
            return f"The model needs a module that cannot be imported here: {cause}."
        case _:
            return f"Loading the model raised {type(error).__name__}: {cause}."


def _is_transient(error: BaseException) -> bool:
    """Whether the same bytes may load at another time."""
    return any(
        isinstance(one, MemoryError) or (isinstance(one, OSError) and one.errno in _TRANSIENT_ERRNO)
        for one in (error, error.__cause__)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
