"""Files larger than a server may hold in memory, sent and fetched piece by piece."""

import hashlib
import http.client
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.journeys.server import Server

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PIECE_BYTES = 1 << 20
TIMEOUT_S = 120.0


def pieces(count: int) -> Iterator[bytes]:
    """Yield so many pieces of a MiB, no two alike."""
    random = os.urandom(PIECE_BYTES)
    for number in range(count):
        yield number.to_bytes(8, "big") + random[8:]


def send(server: Server, path: str, count: int) -> str:
    """Send a file of so many MiB, and return the digest of what was sent."""
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for piece in pieces(count):
            digest.update(piece)
            yield piece

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
    headers = {"Content-Length": str(count * PIECE_BYTES)}
    connection.request("PUT", f"{ARTIFACTS}/{path}", hashed(), headers)
    status = connection.getresponse().status
    connection.close()
    assert status == 200, status
    return digest.hexdigest()


def fetch(server: Server, path: str) -> str:
    """Fetch a file, and return the digest of what came."""
    digest = hashlib.sha256()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
    connection.request("GET", f"{ARTIFACTS}/{path}")
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    while piece := answer.read(PIECE_BYTES):
        digest.update(piece)
    connection.close()
    return digest.hexdigest()


def peak_bytes(server: Server) -> int:
    """Return the most memory that any worker of a server ever held."""
    return max(peak_of(pid) for pid in server.worker_pids())


def peak_of(pid: int) -> int:
    """Return the most memory that a process ever held, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found.group(1)) << 10
