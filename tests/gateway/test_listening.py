import socket

import pytest

from gateway.listening import address_of, listen, reserved_for_grpc
from gateway.settings import AuthSettings, ServerSettings, Settings
from tracking.errors import InvalidRequest


def settings_for(host: str, *, port: int = 0, auth: bool = False) -> Settings:
    return Settings(server=ServerSettings(host=host, port=port), auth=AuthSettings(enabled=auth))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_wide_bind_without_auth_is_refused_and_names_the_option(host: str) -> None:
    with pytest.raises(InvalidRequest, match="--auth"):
        listen(settings_for(host))


def test_a_wide_bind_with_auth_is_allowed() -> None:
    with listen(settings_for("0.0.0.0", auth=True)) as listening:
        assert address_of(listening).startswith("http://0.0.0.0:")


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with listen(settings_for("127.0.0.1")) as first:
        port = first.getsockname()[1]

        with pytest.raises(InvalidRequest, match=str(port)):
            listen(settings_for("127.0.0.1", port=port))


def test_a_name_that_resolves_to_nothing_is_a_clear_error() -> None:
    with pytest.raises(InvalidRequest, match=r"nowhere\.invalid"):
        listen(settings_for("nowhere.invalid", auth=True))


def test_a_caller_can_connect_before_anybody_accepts() -> None:
    with listen(settings_for("127.0.0.1")) as listening:
        address = listening.getsockname()

        with socket.create_connection(address, timeout=1) as connection:
            assert connection.getpeername() == address


def test_a_port_for_grpc_is_kept_and_bound_by_each_worker() -> None:
    """The supervisor's own socket is bound and not listening: it takes no connection away."""
    with listen(settings_for("127.0.0.1")) as free:
        port = free.getsockname()[1]
    settings = Settings(server=ServerSettings(grpc_port=port))

    with reserved_for_grpc(settings):
        with pytest.raises(InvalidRequest, match=f"{port} for gRPC"), reserved_for_grpc(settings):
            pass
        for _worker in range(2):
            with socket.socket() as listening:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                listening.bind(("127.0.0.1", port))
                listening.listen()
                with socket.create_connection(("127.0.0.1", port), timeout=5):
                    assert listening.accept()


def test_without_a_port_for_grpc_nothing_is_kept() -> None:
    with reserved_for_grpc(Settings()):
        pass
