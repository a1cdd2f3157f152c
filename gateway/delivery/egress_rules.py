"""Where a request of ours may go: one parser of URLs, and one judge of addresses. Pure.

The same ``Target`` is checked and connected to, so nobody else's reading of a URL counts. A wrapped
address (an IPv4 one within an IPv6 one) is judged as what it wraps.
"""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from msgspec import Struct

from tracking.errors import InvalidRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS = {"https": 443, "http": 80}
_LONGEST_URL = 2_000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}", re.ASCII)
_VISIBLE = re.compile(r"[!-~]+")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class Reply(Struct, frozen=True):
    """What a receiver answered, or why it did not.

    Args:
        status: The HTTP status, or none.
        body: The beginning of its answer.
        problem: Why there is no status.
        retry_after: When it wants to be asked again, in its own words.
    """

    status: int | None = None
    body: str = ""
    problem: str = ""
    retry_after: str = ""


class Target(Struct, frozen=True):
    """A URL, taken apart.

    Args:
        scheme: ``https`` or ``http``.
        host: A name, or an address without brackets.
        port: Where to connect.
        path: What to ask for: path and query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the header ``Host`` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str, schemes: Iterable[str]) -> Target:
    """Take a URL apart.

    Args:
        url: What somebody sent.
        schemes: Those that are allowed.

    Raises:
        InvalidRequest: Its scheme is not allowed, it holds a user or a fragment, or it is no URL.
    """
    if len(url) > _LONGEST_URL or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise _refusal(f"give at most {_LONGEST_URL} visible ASCII characters, no backslash")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refusal("its host or port cannot be read") from None
    allowed = [scheme for scheme in schemes if scheme in _PORTS]
    if parts.scheme not in allowed:
        raise _refusal(f"its scheme is not one of: {', '.join(allowed) or 'none'}")
    if "@" in parts.netloc or parts.fragment:
        raise _refusal("it may hold no user, password or fragment")
    if port == 0 or not (_NAME.fullmatch(host) or is_address(host)):
        raise _refusal("its host or port cannot be read")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks such as ``10.0.0.0/8``.

    Raises:
        ValueError: A text is none.
    """
    return tuple(ipaddress.ip_network(text) for text in texts)


def is_address(host: str) -> bool:
    """Say whether a host is an address, without brackets or zone."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def is_permitted(address: str, networks: Iterable[Network]) -> bool:
    """Decide whether an address may be connected to: a public one, or one of a named network."""
    try:
        judged = _unwrapped(ipaddress.ip_address(address))
    except ValueError:
        return False
    if any(judged in network for network in networks):
        return True
    return judged.is_global and not (
        judged.is_multicast or judged.is_reserved or judged.is_unspecified or judged.is_loopback
    )


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one wraps, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address.teredo is not None:
        inner = address.teredo[1]
    if inner is None and address in _NAT64_LOCAL:
        return ipaddress.IPv4Address(0)
    is_embedded = address in _NAT64 or (address in _COMPATIBLE and int(address) > 1)
    if inner is None and is_embedded:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address if inner is None else inner


def _refusal(why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid webhook URL: {why}.")
