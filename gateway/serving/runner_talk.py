"""The runner's end of a talk: a model's pieces, sent no faster than the worker takes them.

Called by ``runner_process`` in its one thread. The worker grants credit for some pieces at a time,
and may call the talk off between two of them.
"""

from collections.abc import Iterator
from typing import Any, Protocol

from gateway.serving import messages
from gateway.serving.frames import Frame, FrameError
from gateway.serving.traces import trace_of
from registry.tensors import Batch
from tracking.errors import InvalidRequest, ModelFailed, NotImplementedHere


class Talker(Protocol):
    """What is needed of a loaded model."""

    def talk(
        self, asked: Batch | dict[str, Any], params: dict[str, Any], *, is_stream: bool
    ) -> Iterator[Any]:
        """Return the pieces of an answer."""


class Line(Protocol):
    """What is needed of the socket to the worker."""

    def send(self, message: messages.FromRunner) -> None:
        """Send a message."""

    def next_frame(self, *, may_wait: bool) -> Frame | None:
        """Return what the worker said; ``None`` if it said nothing yet, and must not be waited for.

        Raises:
            EOFError: It has hung up.
        """


def talk(line: Line, model: Talker, call: messages.Talk, body: bytearray) -> None:
    """Answer a call piece by piece."""
    asked: Batch | dict[str, Any]
    if call.document is None:
        arrays = messages.read_arrays(call.heads, body)
        asked = Batch(call.names, arrays, call.is_matrix)
    else:
        asked = call.document
    pieces = model.talk(asked, call.params, is_stream=call.is_stream)
    try:
        _send_all(line, pieces, call)
    except (ModelFailed, InvalidRequest, NotImplementedHere) as error:
        trace = trace_of(error.__cause__ or error) if isinstance(error, ModelFailed) else ""
        line.send(messages.Failed(call.call, error.code, error.message, trace))
    else:
        line.send(messages.Done(call.call))


def _send_all(line: Line, pieces: Iterator[Any], call: messages.Talk) -> None:
    """Send pieces until there are no more, or the worker wants none."""
    credit = call.credit
    try:
        for piece in pieces:
            _send(line, call, piece)
            credit -= 1
            while (frame := line.next_frame(may_wait=credit == 0)) is not None:
                match messages.decode_to_runner(frame):
                    case messages.Credit(call=number, pieces=more) if number == call.call:
                        credit += more
                    case messages.Stop(call=number) if number == call.call:
                        return
                    case messages.Predict() | messages.Talk():
                        raise FrameError("The worker asks while it is being answered.")
                    case _:
                        pass
    finally:
        pieces.close()  # type: ignore[attr-defined] # a generator


def _send(line: Line, call: messages.Talk, piece: Any) -> None:
    try:
        line.send(messages.Piece(call.call, piece))
    except FrameError as error:
        raise ModelFailed(f"A piece of the model's answer cannot be sent: {error}") from error
