"""Answers in pieces over gRPC, of models that talk: what ``talks`` is for HTTP. Event loop only.

Called by ``grpc_server`` for requests of ``ModelStreamInfer``. Until the first piece a refusal is
raised, later it is told in place of the pieces that are missing. A caller who leaves, which cancels
all this, stops the model. Next hop: ``serving.talking``.
"""

import time
from typing import Any

from msgspec import Struct

from gateway.deadlines import sooner
from gateway.errors import render
from gateway.lines import Asked
from gateway.metrics import observe_assignment
from gateway.patience import in_time
from gateway.protocols.v2_pieces import empty_body, piece_body, read_document
from gateway.protocols.wires import decode
from gateway.questions import Holdings
from gateway.routing.table import Assignment
from gateway.serving.callers import CALLER, Caller, priority_of
from gateway.serving.crew import Crew
from gateway.serving.runner import Runner
from gateway.serving.talking import Talk
from gateway.talks import Told
from gateway.tallies import level_of
from gateway.turns import Turn
from registry.signature import Signature
from registry.tensors import Batch, InferRequest

_END = object()


class Speech(Struct, frozen=True):
    """What a talk is about.

    Args:
        assignment: Who talks.
        asked: What stood in the request's head.
        request: What else it says.
        signature: What the version takes and gives.
        until_s: When no more of it is of use, on the monotonic clock.
    """

    assignment: Assignment
    asked: Asked
    request: InferRequest
    signature: Signature | None
    until_s: float


class GrpcTalks:
    """Answers requests of streams in pieces. One per worker, event loop only.

    Args:
        holdings: What this worker holds.
    """

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings

    async def answer(
        self, assignment: Assignment, deadline_s: float, asked: Asked, body: bytes, turn: Turn
    ) -> Told | None:
        """Answer a request in pieces, as it wants, if the model talks.

        The time that its body gives begins here.

        Returns:
            What was told; ``None`` where the usual path answers.

        Raises:
            StagedoorError: It is refused; nothing was sent.
        """
        began_s = time.monotonic()
        with self._holdings.lease(assignment.key) as servable:
            if not isinstance(servable, Runner | Crew) or not servable.can_talk:
                return None
            turn.pass_on()
            request, subject = _subject(servable, asked, body, turn)
            until_s = sooner(deadline_s, request.timeout_us, began_s)
            speech = Speech(assignment, asked, request, servable.signature, until_s)
            params = dict(request.params) if isinstance(subject, Batch) else {}
            observe_assignment(assignment.model, assignment.variant, assignment.reason)
            with level_of(assignment.model):
                talk = await in_time(
                    lambda: servable.talk(subject, params, is_stream=True), speech.until_s
                )
                try:
                    return await _relay(talk, speech, turn)
                finally:
                    talk.close()


async def _relay(talk: Talk, speech: Speech, turn: Turn) -> Told:
    """Send pieces as they come, and an error as the last of them.

    Without an empty response at the end, a piece goes out when it is known whether it is the last.
    """
    assignment, held = speech.assignment, None
    try:
        while True:
            piece = await in_time(lambda: anext(talk, _END), speech.until_s)
            if held is not None and piece is not _END:
                await turn.say(held, is_last=False)
                held = None
            if piece is _END:
                break
            body = piece_body(piece, speech.request, assignment.key, speech.signature)
            if turn.wish.has_empty_last:
                await turn.say(body, is_last=False)
            else:
                held = body
    except Exception as error:  # noqa: BLE001 - told to the caller, or logged by render
        refused = render(error, speech.asked.request_id)
        if held is not None:
            await turn.say(held, is_last=False)
        await turn.refuse(refused.message)
        return Told(assignment, refused.status, refused.code)
    last = held or empty_body(turn.wish.request_id, assignment.key)
    await turn.say(last, is_last=True)
    return Told(assignment)


def _subject(
    servable: Runner | Crew, asked: Asked, body: bytes, turn: Turn
) -> tuple[InferRequest, Batch | dict[str, Any]]:
    """Return what a request says, and what of it is the model's: rows, or a document."""
    subject: Batch | dict[str, Any]
    found = read_document(turn.request) if servable.takes_documents else None
    if found is not None:
        request, subject = found
    else:
        request = decode(asked.call.protocol, body, asked.body_head, servable.signature)
        subject = request.batch
    if request.priority is not None:
        CALLER.set(Caller(asked.caller.key, priority_of(request.priority)))
    return request, subject
