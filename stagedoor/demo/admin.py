"""The calls of the admin API that the demo and the load tests make. Blocking, one thread."""

from types import TracebackType
from typing import Any, Self

import httpx

from tracking.errors import Unavailable

_TIMEOUT_S = 150.0
_OK = 200


class Admin:
    """Changes routes of one server and waits until every worker serves them. One thread only.

    Args:
        url: The server's.
    """

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        """Keep connections until the block ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close them."""
        self._http.close()

    def is_ready(self) -> bool:
        """Say whether the server takes traffic."""
        try:
            return self._http.get("/health/ready").status_code == _OK
        except httpx.TransportError:
            return False

    def promote(self, model: str, version: int, stage: str = "Production") -> dict[str, Any]:
        """Move a version to a stage; return once every worker serves it.

        Raises:
            Unavailable: It was refused; the message is the server's.
        """
        asked = {"version": version, "to": stage, "wait": "active"}
        return self._ask("POST", f"/admin/models/{model}/promote", asked)

    def set_traffic(self, model: str, weight_bp: int) -> dict[str, Any]:
        """Give what is in Staging a share; return once every worker goes by it.

        Raises:
            Unavailable: It was refused; the message is the server's.
        """
        asked = {"candidate": "Staging", "weight_bp": weight_bp, "wait": "active"}
        return self._ask("PUT", f"/admin/models/{model}/traffic", asked)

    def _ask(self, method: str, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.request(method, path, json=asked)
        if answer.status_code != _OK:
            raise Unavailable(f"{method} {path} was answered {answer.status_code}: {answer.text}")
        read: dict[str, Any] = answer.json()
        return read
