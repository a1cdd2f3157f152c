"""The hot path: one predict request from its bytes to the answer's. No database, no lock.

``Predict`` is the ASGI callable behind ``dispatch`` for predict paths, on the event loop of each
worker. ``__call__`` alone knows scope, receive and send; ``answer`` is the path itself: protocols
decode, routing assigns, serving answers, protocols encode.
"""

import asyncio
import math
import time
from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from gateway.asgi import Headers, Receive, Scope, Send, again, read_body, send_answer, send_at_once
from gateway.auth.policy import LOCAL, Permission
from gateway.deadlines import deadline_of, sooner
from gateway.decoding import Decoding
from gateway.departure import CallerLeft, Lookout
from gateway.flights import Desk, Ticket
from gateway.grpc_talks import GrpcTalks
from gateway.intake import Intake
from gateway.lines import Asked, Line, Lines, Way, labels_of, read_asked
from gateway.metrics import observe_assignment, observe_fallback, observe_request
from gateway.outcomes import Failure, observe_departure, observe_refusal, tell
from gateway.place import Place
from gateway.probe import During, Ending
from gateway.protocols.call import ABOUT_SERVER, Action, parse_call, protocol_of
from gateway.protocols.wires import JSON, encode, is_plain
from gateway.questions import Holdings, Questions, Shelf
from gateway.quotas import Quotas
from gateway.replies import Answer, check_permission, id_header
from gateway.routing.bucketing import check_key
from gateway.routing.table import CANDIDATE, STABLE, Assignment, Reason, RouteTable, assign
from gateway.serving.failure import Overloaded
from gateway.slices import Slices
from gateway.talks import TALKING, Exchange, Talks, Telling, Told, tell_or_fall_back
from gateway.tallies import level_of
from gateway.watching import note_ending
from registry.references import ByNumber, Live
from registry.route import VersionRecord
from tracking.errors import InvalidRequest, ModelNotReady, StagedoorError

_INFERRING = (Action.INFER, Action.STREAM)
_OK = 200


class Predict:
    """Answers predict requests. One per worker, event loop only.

    Args:
        table: Returns the snapshot of routes; one read of it decides a request.
        holdings: What this worker holds.
        demand: Asks for a version that is not loaded; ends when it is ready.
        unready: Says why this worker should get no traffic; empty when it should.
        place: Where it answers.
        shelf: Answers the calls of the repository extension; without it there are none.
    """

    def __init__(
        self,
        table: Callable[[], RouteTable],
        holdings: Holdings,
        demand: Callable[[VersionRecord], "asyncio.Future[None]"],
        unready: Callable[[], str],
        place: Place,
        *,
        shelf: Shelf | None = None,
    ) -> None:
        self._table = table
        self._holdings = holdings
        self._demand = demand
        self._questions = Questions(table, holdings, unready, shelf)
        self._lines = Lines(place.worker, place.default)
        self._place = place
        self._watcher = place.watcher
        self._quotas = Quotas(place.quota)
        self._desk = Desk(table, self._lines, holdings.lease, place.watcher, self._quotas)
        self._talks, self.grpc_talks = Talks(holdings), GrpcTalks(holdings)
        self._slices = Slices()
        self._lookout = Lookout()
        self._decoding = Decoding()
        self.intake = Intake(place.max_requests, place.max_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one predict request: by a line worked out before, or else all the way."""
        started_s = time.perf_counter()
        line = self._lines.find_for(scope, self._table())
        if line is None or scope["method"] != "POST" or self._is_watched(line, scope, started_s):
            await self._serve_watched(scope, receive, send, started_s)
            return
        request_id: str = scope["state"]["request_id"]
        asked = read_asked(line.call, scope, request_id)
        way = line.keyed if asked.key else line.unkeyed
        try:
            if scope["state"].get("principal") is not LOCAL:
                check_permission(line.call, scope)
            check_key(asked.key)
            deadline_s = self.admit(asked)
            with self.intake.hold(line.call.model, asked.length, asked.caller) as hold:
                body = await read_body(hold.counted(receive))
                with self._lookout.watch(receive):
                    reply = await self._answer_on(line, way, (asked, body, deadline_s))
        except Exception as error:  # noqa: BLE001  # the outermost frame: rendered, or logged there
            await self._refuse(
                Failure(error, asked, line.call.protocol, request_id, started_s), send
            )
            return
        if reply is None:
            self._quotas.give_back(asked.client, line.call.model or "")
            await self._serve(scope, again(body, receive), send, started_s)
            return
        way.tally.add(time.perf_counter() - started_s)
        identity = id_header(request_id)
        if not send_at_once(scope, b"%b%b: %b\r\n" % (line.head, *identity), reply):
            await send_answer(send, _OK, reply, [*line.headers, identity])

    def ticket(self, scope: Scope) -> Ticket | None:
        """Read the head of requests that an engine may answer outside of ASGI, if it is one.

        Args:
            scope: Of a caller who may predict; it tells the largest body, too.
        """
        return self._desk.ticket(scope)

    def admit(self, asked: Asked) -> float:
        """Return when the answer to a request that has just come is of no use any more.

        Raises:
            StagedoorError: It asks for what there is not, or too often, or in no time.
        """
        if self._quotas.is_on:
            self._route(asked)
            self._quotas.charge(asked.client, asked.call.model or "", time.perf_counter())
        return deadline_of(asked.timeout_ms, time.monotonic(), max_s=self._place.max_timeout_s)

    async def _answer_on(
        self, line: Line, way: Way, request: tuple[Asked, bytes, float]
    ) -> bytes | None:
        """Answer one request's rows; ``None`` where the body asks for the usual way."""
        asked, body, deadline_s = request
        key, head = way.assignment.key, asked.body_head
        if head.head_length is not None or not self._holdings.is_ready(key):
            return None
        with self._holdings.lease(key) as servable:
            if getattr(servable, "can_talk", False):
                return None
            servable.check_admission(0, deadline_s)
            sent = await self._decoding.read(asked, body, servable.signature, deadline_s)
            if (sent.routing_key and not asked.key) or not is_plain(sent):
                return None
            deadline_s = sooner(deadline_s, sent.timeout_us, time.monotonic())
            try:
                with line.level:
                    prediction = await servable.predict(sent.batch, sent.params, deadline_s)
                return line.wire.encode(prediction, sent, key)
            except BaseException:
                assignment = way.assignment
                observe_assignment(assignment.model, assignment.variant, assignment.reason)
                raise

    def _is_watched(self, line: Line, scope: Scope, started_s: float) -> bool:
        watcher = self._watcher
        return watcher is not None and watcher.probe(line.level, scope, started_s) is not None

    async def _serve_watched(
        self, scope: Scope, receive: Receive, send: Send, started_s: float
    ) -> None:
        """Serve a request all the way, and note its phases if it is one of those watched."""
        watcher, probe = self._watcher, None
        if watcher is not None and scope["method"] == "POST":
            probe = watcher.probe(None, scope, started_s)
        if watcher is None or probe is None:
            await self._serve(scope, receive, send, started_s)
            return
        with watcher.watching(probe):
            await self._serve(scope, receive, send, started_s)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, started_s: float) -> None:
        """Serve a request whose path says too little: a split, a version to load, a question."""
        request_id: str = scope["state"]["request_id"]
        protocol = protocol_of(scope["raw_path"])
        asked: Asked | None = None
        try:
            call = parse_call(scope["method"], scope["raw_path"])
            check_permission(call, scope)
            asked = read_asked(self._lines.with_model(call, scope), scope, request_id)
            if call.action not in _INFERRING:
                is_change = call.permission is Permission.ADMIN
                reply = await self.ask(asked, await read_body(receive) if is_change else b"")
                headers = [JSON, id_header(request_id), *self._lines.common_headers]
                await send_answer(send, _OK, reply, headers)
                return
            deadline_s = self.admit(asked)
            with self.intake.hold(asked.call.model, asked.length, asked.caller) as hold:
                body = await read_body(hold.counted(receive))
                made: Told | Answer | None = None
                if asked.call.protocol in TALKING:
                    exchange = Exchange(scope, receive, send, self.headers)
                    talk = partial(self._talks.answer, asked=asked, body=body, exchange=exchange)
                    made = await self.talk(asked, deadline_s, talk)
                if made is None:
                    with self._lookout.watch(receive):
                        made = await self.answer(asked, body, deadline_s)
        except Exception as error:  # noqa: BLE001  # the outermost frame: rendered, or logged there
            await self._refuse(Failure(error, asked, protocol, request_id, started_s), send)
            return
        told = await self._send(made, request_id, send) if isinstance(made, Answer) else made
        self._count(asked, told, started_s)

    async def _send(self, answer: Answer, request_id: str, send: Send) -> Told:
        headers = [*self.headers(request_id, answer.assignment), *answer.encoded.headers]
        if answer.fallback:
            headers.append((b"stagedoor-fallback", answer.fallback.encode()))
        await send_answer(send, _OK, answer.encoded.body, headers)
        return Told(answer.assignment, fallback=answer.fallback)

    def headers(self, request_id: str, assignment: Assignment | None) -> Headers:
        """Return which request it is, and who answered or was to answer it, if that is known."""
        return [id_header(request_id), *self._lines.answer_headers(assignment)]

    def _count(self, asked: Asked, told: Told, started_s: float) -> None:
        """Count an answered request, and note its ending if it is watched."""
        labels = labels_of(told.assignment, asked.call.protocol)
        observe_request(labels, str(told.status), time.perf_counter() - started_s)
        ending = Ending(
            asked.request_id, told.status, told.code, fallback=told.fallback, key=asked.key
        )
        self.note_ending(told.assignment, ending)

    async def talk(self, asked: Asked, deadline_s: float, telling: Telling) -> Told | None:
        """Have a request answered if its model talks, as ``tell_or_fall_back`` does."""
        assignment = await self._assign(asked, deadline_s)
        stable = partial(self._stable, asked, Reason.FALLBACK_ERROR)
        return await tell_or_fall_back(telling, assignment, stable, deadline_s)

    async def _refuse(self, failure: Failure, send: Send) -> None:
        """Tell why a request is not answered, and count it."""
        asked, elapsed_s = failure.asked, time.perf_counter() - failure.started_s
        blamed = self.blamed(asked)
        labels = labels_of(blamed, failure.protocol)
        if isinstance(failure.error, CallerLeft):
            observe_departure(labels, "disconnected", elapsed_s)
            return
        refusal = await tell(failure, send, self.headers(failure.request_id, blamed))
        if asked is None or asked.call.action not in _INFERRING:
            return
        self.note_ending(
            blamed, Ending(refusal.request_id, refusal.status, refusal.code, key=asked.key)
        )
        observe_refusal(labels, failure.error, refusal.status, elapsed_s)

    def note_ending(self, assignment: Assignment | None, ending: Ending) -> None:
        """Note how the request at hand ended, if it is watched."""
        note_ending(self._table(), assignment, ending)

    async def answer(self, asked: Asked, body: bytes, deadline_s: float) -> Answer:
        """Answer one request's rows.

        Args:
            asked: What stands in its head.
            body: All of it.
            deadline_s: When the answer is of no use any more, on the monotonic clock.

        Raises:
            StagedoorError: No version can answer here and in time, or the model failed.
        """
        assignment = await self._assign(asked, deadline_s)
        if assignment.variant != CANDIDATE:
            return await self._infer(assignment, asked, body, deadline_s)
        until_s = self._slices.candidate_deadline_s(assignment.model, deadline_s)
        try:
            return await self._infer(assignment, asked, body, until_s)
        except StagedoorError as error:
            if time.monotonic() >= deadline_s:
                raise
            is_full = isinstance(error, Overloaded)
        reason = Reason.FALLBACK_OVERLOAD if is_full else Reason.FALLBACK_ERROR
        stable = self._stable(asked, reason)
        observe_fallback(assignment.model, reason)
        answer = await self._infer(stable, asked, body, deadline_s)
        return replace(answer, fallback=reason)

    async def ask(self, asked: Asked, body: bytes) -> bytes:
        """Answer a call that carries no rows.

        Raises:
            StagedoorError: It cannot be answered, or must not be done.
        """
        action = asked.call.action
        if action in ABOUT_SERVER:
            return self._questions.about_server(action, body)
        if action is Action.LOAD:
            self._questions.check_load(body)
            return self._questions.about_model(action, await self._assign(asked, math.inf), body)
        assignment = self._steady(asked)
        if action in (Action.METADATA, Action.OPENAPI):
            await self._fetch(assignment, math.inf)
        if action is Action.OPENAPI:
            return await self._questions.describe(asked.call, assignment)
        return self._questions.about_model(action, assignment, body)

    async def _assign(self, asked: Asked, deadline_s: float) -> Assignment:
        """Route a request; wait for a version that workers hold only when they are asked for it."""
        assignment = self._route(asked)
        if not self._holdings.is_ready(assignment.key):
            await self._fetch(assignment, deadline_s)
        return assignment

    async def _fetch(self, assignment: Assignment, deadline_s: float) -> None:
        number = assignment.key.version
        # The table may be another one by now: then the lease says that the version is not there.
        entry = self._table().models.get(assignment.model)
        if entry is None or entry.is_held(number) or number not in entry.records:
            return
        await self._load(entry.records[number], deadline_s)
        if not self._holdings.is_ready(assignment.key):
            await self._load(entry.records[number], deadline_s)  # it had to go before it was lent

    async def _load(self, record: VersionRecord, deadline_s: float) -> None:
        if not record.key.digest:
            message = f"version {record.key.version} of {record.key.model!r} has no sealed files."
            raise ModelNotReady(message)
        patience_s = min(self._place.load_timeout_s, deadline_s - time.monotonic())
        try:
            async with asyncio.timeout(patience_s):
                await self._demand(record)
        except TimeoutError:
            message = (
                f"version {record.key.version} of {record.key.model!r} is still loading after "
                f"{patience_s:.3g} s: try again."
            )
            raise ModelNotReady(message) from None

    def has(self, model: str) -> bool:
        """Whether there is such a model, also if nothing can answer for it."""
        return model in self._table().models

    def blamed(self, asked: Asked | None) -> Assignment | None:
        """Return whose request failed: routing is pure, so asking again gives the same."""
        if asked is None or asked.call.action not in _INFERRING:
            return None
        try:
            return self._route(asked)
        except StagedoorError:
            return None

    def _route(self, asked: Asked) -> Assignment:
        call = asked.call
        if call.model is None:
            told = "This server has no default model: call /models/{name}/invocations, name one"
            raise InvalidRequest(f"{told} in Stagedoor-Model, or set server.default_model.")
        return assign(
            self._table(),
            call.model,
            call.ref,
            key=asked.key,
            nonce=asked.request_id.encode(),
            is_ready=self._holdings.is_ready,
        )

    def _steady(self, asked: Asked) -> Assignment:
        """Route a question: one about a split is about its stable part, whoever asks."""
        assignment = self._route(asked)
        is_candidate = assignment.variant == CANDIDATE
        return self._stable(asked, Reason.FALLBACK_ERROR) if is_candidate else assignment

    def _stable(self, asked: Asked, reason: Reason) -> Assignment:
        entry = self._table().models[asked.call.model or ""]
        ref = ByNumber(entry.route.production or 0)
        pinned = self._route(replace(asked, call=replace(asked.call, ref=ref)))
        return replace(pinned, variant=STABLE, reason=reason)

    async def _infer(
        self, assignment: Assignment, asked: Asked, body: bytes, deadline_s: float
    ) -> Answer:
        protocol, began_s = asked.call.protocol, time.monotonic()
        with self._holdings.lease(assignment.key) as servable:
            servable.check_admission(0, deadline_s)
            request = await self._decoding.read(asked, body, servable.signature, deadline_s)
            if request.routing_key and not asked.key and type(asked.call.ref) is Live:
                keyed = replace(asked, key=request.routing_key.encode())
                return await self.answer(keyed, body, deadline_s)
            observe_assignment(assignment.model, assignment.variant, assignment.reason)
            deadline_s = sooner(deadline_s, request.timeout_us, began_s)
            with level_of(assignment.model):
                prediction = await servable.predict(request.batch, request.params, deadline_s)
            with During("encode"):
                encoded = encode(protocol, prediction, request, assignment.key)
        if assignment.variant == STABLE:
            self._slices.note(assignment.model, time.monotonic() - began_s)
        return Answer(assignment, encoded)
