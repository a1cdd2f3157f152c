"""Which Host and Origin headers may come in: the answer to DNS rebinding and forged forms. Pure."""

import ipaddress

from msgspec import Struct

_LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost"})


class HostPolicy(Struct, frozen=True):
    """The names under which callers may address this server. Immutable.

    Args:
        names: Lowercase, without port.
    """

    names: frozenset[str]

    def allows(self, host: bytes) -> bool:
        """Decide whether a ``Host`` header may come in: an IP literal, or a name of the list."""
        name = _name_of(host.decode("latin-1"))
        return name in self.names or _is_ip(name)


def host_policy(bound_host: str, allowed: tuple[str, ...]) -> HostPolicy:
    """Return the policy for a server that listens on ``bound_host``.

    Args:
        bound_host: Name or address to listen on.
        allowed: Further names.
    """
    return HostPolicy(
        frozenset({_name_of(name) for name in (bound_host, *allowed)}) | _LOOPBACK_NAMES
    )


def is_same_origin(origin: bytes, host: bytes) -> bool:
    """Decide whether a page of ``origin`` and the server addressed as ``host`` are one.

    The scheme is not compared: a proxy in front may have taken TLS off.
    """
    _, separator, authority = origin.lower().partition(b"://")
    return bool(separator) and bool(authority) and authority == host.lower()


def _name_of(host: str) -> str:
    name, _, port = host.rpartition(":")
    if not name or not port.isdigit():
        name = host
    return name.strip("[]").lower()


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
