import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.egress_rules import Target, is_permitted, parse_networks, parse_target
from tracking.errors import InvalidRequest

BOTH = ("https", "http")


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("https://a.example", Target("https", "a.example", 443, "/"), "a.example"),
        ("https://A.example:443/x?y=1", Target("https", "a.example", 443, "/x?y=1"), "a.example"),
        ("http://a.example:8080/", Target("http", "a.example", 8080, "/"), "a.example:8080"),
        ("http://[::1]:81/a", Target("http", "::1", 81, "/a"), "[::1]:81"),
        ("http://10.0.0.1", Target("http", "10.0.0.1", 80, "/"), "10.0.0.1"),
    ],
)
def test_a_url_is_taken_apart_once(url: str, target: Target, authority: str) -> None:
    found = parse_target(url, BOTH)

    assert (found, found.authority) == (target, authority)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "   ",
        "a.example",
        "ftp://a.example",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://user:secret@a.example/",
        "https://a.example@b.example/",
        "https://a.example\\@b.example/",
        "https://a.example/#x",
        "https://a.example:0/",
        "https://a.example:99999/",
        "https://a.example:x/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://a b.example/",
        "https://a.example/\r\nHost: b",
        "https://a.example/\x00",
        "https://bücher.example/",
        "https://a!.example/",
        "https://" + "a" * 2_000,
    ],
)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid webhook URL"):
        parse_target(url, BOTH)


def test_http_is_for_those_who_allow_it() -> None:
    with pytest.raises(InvalidRequest, match="scheme is not one of: https"):
        parse_target("http://a.example/", ("https",))


@given(st.text(max_size=60))
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://a.example/{text}"):
        try:
            target = parse_target(url, BOTH)
        except InvalidRequest:
            continue
        assert target.host
        assert target.path.isascii()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "192.0.2.1",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:53aa:64c:0:0:80ff:fffe",
        "not an address",
        "",
    ],
)
def test_an_address_that_is_not_public_is_not_permitted(address: str) -> None:
    assert not is_permitted(address, ())


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_a_public_address_is_permitted(address: str) -> None:
    assert is_permitted(address, ())


def test_a_named_network_is_permitted_also_when_it_is_wrapped() -> None:
    networks = parse_networks(["10.0.0.0/8"])

    permitted = [
        address
        for address in ("10.1.2.3", "::ffff:10.1.2.3", "192.168.0.1", "::1")
        if is_permitted(address, networks)
    ]

    assert permitted == ["10.1.2.3", "::ffff:10.1.2.3"]
