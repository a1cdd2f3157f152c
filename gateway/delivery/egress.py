"""The one client that calls where somebody told us to, made for hostile URLs and hostile receivers.

A name is resolved once; every address must be permitted (``egress_rules``), and the connection goes
to one of exactly those, with the name for TLS and ``Host``. No redirect is followed, no proxy of
the environment is used, and all of it must be done by one deadline. Called by the webhook sender's
threads and by the test of a webhook, never on the path of a change.
"""

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from gateway.delivery.egress_rules import Network, Reply, Target, is_permitted, parse_target
from tracking.errors import InvalidRequest

RESOLVE_TIMEOUT_S = 5.0
_AGENT = "stagedoor-webhooks"
_RESOLVERS = 8

Resolve = Callable[[str, int], list[str]]
"""Returns the addresses of a host and port; raises ``OSError`` when there are none."""


class Egress:
    """Sends requests to wherever they are allowed to go. Safe from any thread.

    Args:
        schemes: ``https``, and ``http`` where it is allowed.
        networks: Networks that are allowed besides public addresses.
        timeout_s: How long one request may take in all.
        resolve: How names become addresses.
        tls: What certificates are checked against; those that this host trusts if not given.
    """

    def __init__(
        self,
        schemes: tuple[str, ...],
        networks: tuple[Network, ...],
        *,
        timeout_s: float,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._schemes = schemes
        self._networks = networks
        self._timeout_s = timeout_s
        self._resolve = resolve or resolve_name
        self._tls = tls
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolver")

    def close(self) -> None:
        """Let go of what resolves names."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    def check(self, url: str) -> None:
        """Check that a request to a URL would be allowed now.

        Raises:
            InvalidRequest: It would not.
        """
        self._locate(url)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a body, and return what came back.

        Raises:
            InvalidRequest: The URL leads where nothing may be sent; nothing was.
        """
        from gateway.delivery import egress_wire  # noqa: PLC0415 - 0.1 s, for who is called only

        ends_at_s = time.monotonic() + self._timeout_s
        target, addresses = self._locate(url)
        sent = {"Host": target.authority, "User-Agent": _AGENT, "Connection": "close", **headers}
        way = egress_wire.Way(target, addresses, ends_at_s, self._tls or egress_wire.usual_tls())
        try:
            return egress_wire.post(way, sent, body)
        except TimeoutError:
            return Reply(problem=f"no answer within {self._timeout_s:g} s")
        except OSError as error:
            return Reply(problem=f"the connection failed: {error}")

    def _locate(self, url: str) -> tuple[Target, list[str]]:
        """Return a URL's parts and the addresses it may be sent to: all it has."""
        target = parse_target(url, self._schemes)
        addresses = self._addresses(target)
        refused = [a for a in addresses if not is_permitted(a, self._networks)]
        if refused or not addresses:
            raise InvalidRequest(
                f"Invalid webhook URL: {target.host!r} leads to {', '.join(refused) or 'nowhere'}, "
                "which is no public address. webhooks.allowed_networks can allow a network."
            )
        return target, addresses

    def _addresses(self, target: Target) -> list[str]:
        asked = self._resolvers.submit(self._resolve, target.host, target.port)
        try:
            return list(dict.fromkeys(asked.result(RESOLVE_TIMEOUT_S)))
        except (OSError, UnicodeError, TimeoutError):
            asked.cancel()
            raise InvalidRequest(
                f"Invalid webhook URL: {target.host!r} has no address that could be found now."
            ) from None


def resolve_name(host: str, port: int) -> list[str]:
    """Ask this host's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
