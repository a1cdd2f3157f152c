"""The socket that all workers accept on. Bound by the supervisor before anything else happens."""

import socket

from gateway.settings import Settings, is_loopback
from tracking.errors import InvalidRequest

BACKLOG = 2048


def listen(settings: Settings) -> socket.socket:
    """Bind the server's address and listen on it.

    Raises:
        InvalidRequest: Others could reach the address while auth is off, or it is not to be had.
    """
    host, port = settings.server.host, settings.server.port
    if not settings.auth.enabled and not is_loopback(host):
        message = (
            f"Listening on {host!r} would let anybody on the network in, because auth is off. "
            "Add --auth (auth.enabled), or listen on 127.0.0.1."
        )
        raise InvalidRequest(message)
    try:
        return _bound(host, port)
    except OSError as error:
        message = f"Cannot listen on {host!r} port {port}: {error.strerror or error}."
        raise InvalidRequest(message) from error


def address_of(listening: socket.socket) -> str:
    """Return the URL at which a listening socket answers."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.settimeout(0.0)
    return listening
