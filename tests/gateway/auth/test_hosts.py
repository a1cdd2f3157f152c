import pytest

from gateway.auth.hosts import host_policy, is_same_origin

POLICY = host_policy("127.0.0.1", ("ml.example", "Models.Example:8443"))


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1",
        b"127.0.0.1:5000",
        b"10.1.2.3:80",
        b"[::1]:5000",
        b"[2001:db8::1]",
        b"localhost:5000",
        b"LOCALHOST",
        b"ml.example",
        b"ml.example:443",
        b"models.example",
    ],
)
def test_addresses_and_listed_names_may_come_in(host: bytes) -> None:
    assert POLICY.allows(host)


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:5000",
        b"ml.example.evil.example",
        b"notml.example",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"127.0.0.1@evil.example",
        b"ml.example:",
        b"ml.example:x",
        b" ml.example",
        b"\xff",
        b":80",
    ],
)
def test_other_names_may_not(host: bytes) -> None:
    assert not POLICY.allows(host)


def test_a_server_may_be_addressed_by_the_name_it_listens_on() -> None:
    assert host_policy("gateway.internal", ()).allows(b"gateway.internal:5000")


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (b"http://localhost:5000", True),
        (b"https://LOCALHOST:5000", True),
        (b"http://localhost", False),
        (b"http://localhost:5001", False),
        (b"http://evil.example", False),
        (b"http://localhost:5000.evil.example", False),
        (b"null", False),
        (b"://", False),
        (b"localhost:5000", False),
    ],
)
def test_only_the_same_host_and_port_are_the_same_origin(origin: bytes, *, expected: bool) -> None:
    assert is_same_origin(origin, b"localhost:5000") is expected
