"""The egress client against real receivers: where it goes, and where it will not."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.delivery.egress import Egress
from gateway.delivery.egress_rules import Reply, parse_networks
from gateway.delivery.egress_wire import MOST_BODY_BYTES
from tests.gateway.delivery.receivers import Receiver, receiving
from tracking.errors import InvalidRequest

HERE = parse_networks(["127.0.0.0/8"])


class Names:
    """A resolver that answers what it is told, each answer once but the last."""

    def __init__(self, *answers: list[str]) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)

    def __call__(self, host: str, port: int) -> list[str]:
        del port
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def egress(
    names: Names | None = None,
    *,
    timeout_s: float = 20.0,
    tls: ssl.SSLContext | None = None,
    schemes: tuple[str, ...] = ("https", "http"),
) -> Egress:
    return Egress(schemes, HERE, timeout_s=timeout_s, resolve=names, tls=tls)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://127.1/",
        "http://0x7f.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_a_url_that_leads_inside_is_refused(url: str) -> None:
    client = Egress(("http",), (), timeout_s=5.0)

    with pytest.raises(InvalidRequest, match=r"no public address|could be found"):
        client.check(url)
    with pytest.raises(InvalidRequest):
        client.post(url, {}, b"")


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    names = Names(["93.184.216.34", "10.0.0.7"])

    with pytest.raises(InvalidRequest, match=r"10\.0\.0\.7"):
        egress(names).check("https://hooks.example/")


def test_a_name_without_an_address_is_refused() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port}")

    client = Egress(("https",), (), timeout_s=5.0, resolve=unknown)

    with pytest.raises(InvalidRequest, match="could be found"):
        client.check("https://nowhere.example/")


def test_the_connection_goes_to_the_address_that_was_checked(receiver: Receiver) -> None:
    """The second answer of the resolver, which would lead elsewhere, is never asked for."""
    names = Names(["127.0.0.1"], ["10.0.0.7"])

    reply = egress(names).post(f"http://hooks.example:{receiver.port}/a?b=c", {"X-A": "1"}, b"hi")

    (call,) = receiver.calls
    assert reply == Reply(status=200, body="thanks")
    assert names.asked == ["hooks.example"]
    assert (call.path, call.body, call.headers["x-a"]) == ("/a?b=c", b"hi", "1")
    assert call.headers["host"] == f"hooks.example:{receiver.port}"


def test_the_check_is_made_anew_for_every_request(receiver: Receiver) -> None:
    client = egress(Names(["127.0.0.1"], ["10.0.0.7"]))
    url = f"http://hooks.example:{receiver.port}/"
    client.check(url)

    with pytest.raises(InvalidRequest):
        client.post(url, {}, b"")

    assert receiver.calls == []


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 302, {"Location": "http://169.254.169.254/"}

    reply = egress().post(receiver.url, {}, b"")

    assert reply.status == 302
    assert len(receiver.calls) == 1


def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")

    assert egress().post(receiver.url, {}, b"").status == 200


def test_a_long_answer_is_cut_and_its_status_stands(receiver: Receiver) -> None:
    receiver.body = b"x" * (4 * MOST_BODY_BYTES)

    reply = egress().post(receiver.url, {}, b"")

    assert (reply.status, len(reply.body)) == (200, MOST_BODY_BYTES)


def test_a_receiver_that_is_not_there_is_told_as_a_problem() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        reply = egress().post(f"http://127.0.0.1:{port}/", {}, b"")

    assert reply.status is None
    assert "connection failed" in reply.problem


def test_an_answer_that_drips_ends_at_the_deadline() -> None:
    """Each byte comes within the timeout; all together must."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        dripping = threading.Thread(target=_drip, args=(listening, stop))
        dripping.start()

        reply = egress(timeout_s=0.3).post(f"http://127.0.0.1:{port}/", {}, b"")
        stop.set()
        dripping.join()

    assert reply == Reply(problem="no answer within 0.3 s")


def test_what_is_no_http_is_told_as_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answering = threading.Thread(target=_answer_with, args=(listening, b"SSH-2.0-x\r\n\r\n"))
        answering.start()

        reply = egress().post(f"http://127.0.0.1:{listening.getsockname()[1]}/", {}, b"")
        answering.join()

    assert reply.status is None


def test_tls_asks_for_the_name_and_checks_the_certificate(tmp_path: Path) -> None:
    asked: list[str | None] = []
    serving, trusting = _certificates(tmp_path, "hooks.example")
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)
    with receiving(tls=serving) as receiver:
        client = egress(Names(["127.0.0.1"]), tls=trusting)

        good = client.post(f"https://hooks.example:{receiver.port}/", {}, b"x")
        wrong_name = client.post(f"https://other.example:{receiver.port}/", {}, b"x")
        untrusted = egress(Names(["127.0.0.1"])).post(
            f"https://hooks.example:{receiver.port}/", {}, b"x"
        )

    assert good.status == 200
    assert asked[0] == "hooks.example"
    assert (wrong_name.status, untrusted.status) == (None, None)
    assert "certificate" in wrong_name.problem
    assert len(receiver.calls) == 1


def _drip(listening: socket.socket, stop: threading.Event) -> None:
    connection, _ = listening.accept()
    with connection:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(0.02):
                connection.sendall(b"x")
        except OSError:
            return


def _answer_with(listening: socket.socket, content: bytes) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(content)


def _certificates(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what serves under a name, and what trusts only that."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    return serving, ssl.create_default_context(cafile=str(file))
