"""The socket that all workers accept on. Bound by the supervisor before anything else happens."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def reserved_for_grpc(settings: Settings) -> Iterator[None]:
    """Keep the gRPC port for the workers, which bind it themselves, one beside the other.

    Raises:
        InvalidRequest: It is not to be had.
    """
    host, port = settings.server.host, settings.server.grpc_port
    if not port:
        yield
        return
    try:
        _bound(host, port).close()  # refused as well where another server shares it
        reserved = _socket(host, port, shared=True)
    except OSError as error:
        message = f"Cannot listen on {host!r} port {port} for gRPC: {error.strerror or error}."
        raise InvalidRequest(message) from error
    with reserved:  # bound and not listening: it takes no connection from a worker
        yield


def address_of(listening: socket.socket) -> str:
    """Return the URL at which a listening socket answers."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bound(host: str, port: int) -> socket.socket:
    listening = _socket(host, port, shared=False)
    try:
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.settimeout(0.0)
    return listening


def _socket(host: str, port: int, *, shared: bool) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        option = socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR
        listening.setsockopt(socket.SOL_SOCKET, option, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening
