"""Calls one server over raw HTTP and keeps what it answered, call by call."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

API = "/api/2.0/mlflow"
_TOLD_HEADERS = ("content-type", "x-content-type-options", "accept-ranges", "content-range")


class Recorder:
    """One server and its answers so far.

    Args:
        url: Where the server is. It must be a fresh one: ids and names count from the start.
    """

    def __init__(self, url: str) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def post(self, name: str, path: str, body: Any, **options: Any) -> dict[str, Any]:
        """POST a JSON body beneath the API, and return the object that came back."""
        return self.call(name, "POST", path, json=body, **options)

    def get(self, name: str, path: str, /, **query: Any) -> dict[str, Any]:
        """GET beneath the API, and return the object that came back."""
        return self.call(name, "GET", path, params=query)

    def call(self, name: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send anything, keep the answer under a name of its own, and return its object.

        A path without a leading slash lies beneath ``/api/2.0/mlflow``.
        """
        assert name not in self.answers, f"two calls are called {name!r}"
        address = path if path.startswith("/") else f"{API}/{path}"
        answer = self._client.request(method, address, **options)
        found = _object_of(answer)
        self.answers[name] = {"status": answer.status_code, "body": _told(answer, found)}
        return found or {}

    def file(self, name: str, path: str, headers: Mapping[str, str] | None = None) -> None:
        """GET a file and keep its content with the headers that matter."""
        answer = self._client.get(path, headers=dict(headers or {}))
        told = {key: answer.headers.get(key) for key in _TOLD_HEADERS}
        disposition = answer.headers.get("content-disposition", "")
        told["is attachment"] = disposition.startswith("attachment")
        found = _object_of(answer) if answer.is_error else None
        body = _told(answer, found) if found else answer.text
        self.answers[name] = {"status": answer.status_code, "headers": told, "body": body}

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


def _object_of(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        found = json.loads(answer.content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _told(answer: httpx.Response, found: dict[str, Any] | None) -> Any:
    """Return what is compared of an answer: of an error its code alone."""
    if not answer.is_error:
        return answer.text if found is None else found
    return (found or {}).get("error_code", "no code")
