import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from gateway.asgi import send_at_once
from gateway.http_server import DoorConfig, DoorServer, pre_stop_s
from gateway.listening import listen
from gateway.settings import LimitSettings, ServerSettings, ServingSettings, Settings

HEAD = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n"
QUICK = LimitSettings(head_timeout_s=0.3, body_window_s=0.3, min_body_rate_bytes_s=100)
CALM = LimitSettings()


async def echo_size(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for _ in range(2):
            await send({"type": (await receive())["type"] + ".complete"})
        return
    size, more = 0, scope["path"] != "/early"
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    if scope["path"] == "/at-once":
        assert send_at_once(scope, b"x-one: go\r\n", body)
        assert not send_at_once(scope, b"", b"a second answer")
        return
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def running(settings: Settings) -> Iterator[tuple[DoorServer, tuple[str, int]]]:
    listening = listen(settings)
    server = DoorServer(DoorConfig(echo_size, settings), on_drain=lambda: None)
    thread = threading.Thread(target=server.run, args=([listening],))
    address = listening.getsockname()
    thread.start()
    try:
        yield server, address
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


def settings_with(limits: LimitSettings, *, pre_stop: float = 0.0) -> Settings:
    return Settings(
        server=ServerSettings(port=0, pre_stop_s=pre_stop),
        serving=ServingSettings(drain_timeout_s=1),
        limits=limits,
    )


@pytest.fixture(scope="module")
def quick() -> Iterator[tuple[str, int]]:
    with running(settings_with(QUICK)) as (_, address):
        yield address


@pytest.fixture(scope="module")
def calm() -> Iterator[tuple[str, int]]:
    with running(settings_with(CALM)) as (_, address):
        yield address


def connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=10)


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def read_answer(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            break
        received += part
    return received


def ask(address: tuple[str, int], *parts: bytes) -> bytes:
    with closing(connect(address)) as connection:
        for part in parts:
            connection.sendall(part)
        return read_to_end(connection)


def test_a_whole_request_is_answered(calm: tuple[str, int]) -> None:
    with closing(connect(calm)) as connection:
        connection.sendall(POST + b"x" * 100)

        answer = read_answer(connection)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"100")


def test_requests_in_one_packet_are_answered_in_order(calm: tuple[str, int]) -> None:
    last = HEAD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")

    answer = ask(calm, POST + b"x" * 100 + HEAD + last)

    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"100", b"0", b"0"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 8_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000,
    ],
    ids=["one header", "path", "many headers", "unfinished"],
)
def test_a_head_over_the_cap_is_refused(calm: tuple[str, int], head: bytes) -> None:
    answer = ask(calm, head)

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"error_code":"REQUEST_TOO_LARGE"' in answer


def test_a_head_over_the_cap_behind_another_request_is_refused(calm: tuple[str, int]) -> None:
    large = b"GET / HTTP/1.1\r\nhost: localhost\r\nx: %b\r\n\r\n" % (b"x" * CALM.max_head_bytes)

    with closing(connect(calm)) as connection:
        connection.sendall(HEAD + large)
        received = read_to_end(connection)

    assert received.count(b"HTTP/1.1 200") <= 1


def test_answers_at_one_go_come_in_order_and_obey_the_connection(calm: tuple[str, int]) -> None:
    """Three in one packet; the last one asks for the end of the connection."""
    one = b"POST /at-once HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b"
    last = b"POST /at-once HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"

    with closing(connect(calm)) as connection:
        connection.sendall(one % (1, b"a") + one % (2, b"ab") + last)
        received = read_to_end(connection)

    answers = received.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [answer.rpartition(b"\r\n")[2] for answer in answers] == [b"1", b"2", b"0"]
    assert [answer.count(b"x-one: go\r\n") for answer in answers] == [1, 1, 1]
    assert [answer.count(b"content-length: 1\r\n") for answer in answers] == [1, 1, 1]
    assert [b"connection: close" in answer for answer in answers] == [False, False, True]


def test_an_answer_at_one_go_to_a_body_that_was_asked_for(calm: tuple[str, int]) -> None:
    head = b"POST /at-once HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n"

    with closing(connect(calm)) as connection:
        connection.sendall(head + b"content-length: 3\r\nconnection: close\r\n\r\n")
        asked_for = connection.recv(1 << 16)
        connection.sendall(b"abc")
        received = read_to_end(connection)

    assert asked_for == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert received.endswith(b"\r\n\r\n3")


def test_a_head_below_the_cap_is_taken(calm: tuple[str, int]) -> None:
    with closing(connect(calm)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nx: " + b"a" * 30_000 + b"\r\n\r\n")

        assert read_answer(connection).startswith(b"HTTP/1.1 200")


def test_a_head_that_does_not_end_in_time_is_refused(quick: tuple[str, int]) -> None:
    answer = ask(quick, HEAD[:20])

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_head_that_drips_is_refused_at_the_same_time(quick: tuple[str, int]) -> None:
    started = time.monotonic()
    with closing(connect(quick)) as connection:
        connection.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() < started + 5:
            connection.sendall(b"a")
            try:
                answer = connection.recv(1000)
            except TimeoutError:
                continue

    assert answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 "))
    assert time.monotonic() - started < 3


def test_a_connection_that_says_nothing_is_closed(quick: tuple[str, int]) -> None:
    assert ask(quick) == b""


def test_blank_lines_do_not_keep_a_connection(quick: tuple[str, int]) -> None:
    with closing(connect(quick)) as connection:
        connection.sendall(HEAD)
        read_answer(connection)
        connection.sendall(b"\r\n")

        assert read_to_end(connection).startswith(b"HTTP/1.1 408 ")


def test_a_second_head_on_a_connection_has_its_own_deadline(quick: tuple[str, int]) -> None:
    with closing(connect(quick)) as connection:
        connection.sendall(HEAD)
        first = read_answer(connection)
        connection.sendall(HEAD[:20])

        second = read_to_end(connection)

    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_stops_is_refused(quick: tuple[str, int]) -> None:
    answer = ask(quick, POST + b"x" * 10)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too slowly" in answer


def test_a_body_that_keeps_up_may_take_longer_than_the_window(quick: tuple[str, int]) -> None:
    with closing(connect(quick)) as connection:
        connection.sendall(POST.replace(b"100", b"2000"))
        started = time.monotonic()
        for part in range(20):
            pause_s = max(0.0, started + part * 0.05 - time.monotonic())
            select.select([connection], [], [], pause_s)
            connection.sendall(b"x" * 100)

        answer = read_answer(connection)

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"2000")


def test_what_is_not_http_is_refused(calm: tuple[str, int]) -> None:
    assert ask(calm, b"\x16\x03\x01\x02\x00 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_body_sent_after_an_early_answer_is_dropped(calm: tuple[str, int]) -> None:
    with closing(connect(calm)) as connection:
        connection.sendall(POST.replace(b" / ", b" /early ").replace(b"100", b"3000000"))
        early = read_answer(connection)
        connection.sendall(b"x" * 3_000_000 + HEAD)

        after = read_answer(connection)

    assert early.startswith(b"HTTP/1.1 200")
    assert after.startswith(b"HTTP/1.1 200")


def test_connections_over_the_cap_are_turned_away_and_come_in_later() -> None:
    with running(settings_with(LimitSettings(max_connections=2))) as (_, address):
        first, second = connect(address), connect(address)
        for connection in (first, second):
            connection.sendall(HEAD)
            read_answer(connection)
        turned_away = ask(address)
        first.close()
        second.close()

        deadline = time.monotonic() + 5
        answer = b""
        while b"200" not in answer and time.monotonic() < deadline:
            with closing(connect(address)) as connection:
                connection.sendall(HEAD)
                answer = read_answer(connection)

    assert turned_away.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after" in turned_away
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_draining_server_still_answers_and_closes_each_connection() -> None:
    with running(settings_with(CALM, pre_stop=5.0)) as (server, address):
        before = connect(address)
        before.sendall(HEAD)
        read_answer(before)
        server.handle_exit(15, None)

        answer = ask(address, HEAD)
        before.sendall(HEAD)
        kept = read_to_end(before)
        before.close()

    assert b"connection: close" in answer
    assert kept.startswith(b"HTTP/1.1 200")


def test_the_time_for_load_balancers_is_none_on_loopback() -> None:
    assert pre_stop_s(Settings()) == 0
    assert pre_stop_s(Settings(server=ServerSettings(host="0.0.0.0"))) == 5
    assert pre_stop_s(Settings(server=ServerSettings(pre_stop_s=2))) == 2


def test_an_idle_connection_is_closed_and_a_busy_one_is_not() -> None:
    settings = Settings(
        server=ServerSettings(port=0, pre_stop_s=0.0, keep_alive_s=1),
        serving=ServingSettings(drain_timeout_s=1),
    )
    with running(settings) as (_, address), closing(socket.create_connection(address)) as caller:
        caller.settimeout(20)
        ends_at = time.monotonic() + 2.2
        while time.monotonic() < ends_at:
            caller.sendall(HEAD)
            told = b""
            while not told.endswith(b"\r\n\r\n0"):
                told += caller.recv(4096)

        assert told.startswith(b"HTTP/1.1 200")
        assert caller.recv(4096) == b""
