from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from loadtests.models import (
    Probes,
    WrongAnswer,
    as_scoring,
    check_answers,
    probe,
    read_scoring,
    train,
)

PROBES = Probes(bodies=(b"1", b"2"), answers=((1.0,), (2.0,)))


class Echo(BaseHTTPRequestHandler):
    """Answers the number that it is sent; a server of the class below adds a little."""

    added = 0.0

    def do_POST(self) -> None:
        number = float(self.rfile.read(int(self.headers["Content-Length"]))) + self.added
        body = f'{{"predictions": [{number!r}]}}'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Wrong(Echo):
    added = 1e-9


@pytest.fixture(params=[Echo, Wrong])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, type[Echo]]]:
    with HTTPServer(("127.0.0.1", 0), request.param) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", request.param
        running.shutdown()


def test_an_answer_that_is_not_the_models_stops_the_bench(
    server: tuple[str, type[Echo]],
) -> None:
    url, kind = server

    if kind is Echo:
        check_answers(url, PROBES, read_scoring)
    else:
        with pytest.raises(WrongAnswer, match=r"its model says \(1\.0,\)"):
            check_answers(url, PROBES, read_scoring)


def test_requests_hold_as_many_rows_as_asked_for_and_differ() -> None:
    drawn = probe(train("A"), 3, as_scoring)

    assert len(set(drawn.bodies)) == len(drawn.bodies)
    assert {len(answers) for answers in drawn.answers} == {3}
