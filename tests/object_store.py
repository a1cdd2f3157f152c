"""A real S3 server on this host, and what a client has to know of it."""

import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

RCLONE = Path(sys.executable).with_name("rclone")
KEY, SECRET = "key-of-the-tests", "secret-of-the-tests"
START_TIMEOUT_S = 30.0
_BUCKET = "bucket-of-the-tests"
_STARTED = re.compile(r"server on \[(http://127\.0\.0\.1:\d+)/\]")


class S3Server(Struct, frozen=True):
    """A running server.

    Args:
        endpoint: Its URL.
        root: The folder in which each bucket is a folder.
    """

    endpoint: str
    root: Path

    def environment(self) -> Mapping[str, str]:
        """Return the variables by which a client finds it and proves itself."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
        }

    def new_url(self) -> str:
        """Return the URL of a prefix that nobody uses."""
        return f"s3://{_BUCKET}/{uuid.uuid4().hex}/prefix"


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run a server that keeps its buckets in a folder, for the block."""
    root = folder / "buckets"
    (root / _BUCKET).mkdir(parents=True)  # a bucket made later would not be seen for some minutes
    log = folder / "log"
    command: list[str | Path] = [
        RCLONE,
        "serve",
        "s3",
        "--addr",
        "127.0.0.1:0",
        "--auth-key",
        f"{KEY},{SECRET}",
        root,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env={"RCLONE_CONFIG": "/dev/null", "HOME": str(folder)},
        )
    try:
        yield S3Server(_endpoint(process, log), root)
    finally:
        process.kill()
        process.wait()


def _endpoint(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (found := _STARTED.search(log.read_text(errors="replace"))):
        told = log.read_text(errors="replace")
        assert process.poll() is None, told
        assert time.monotonic() < deadline, told
        time.sleep(0.01)
    return found.group(1)
