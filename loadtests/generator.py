"""Closed-loop load on one URL: wrk when it is installed, else a small client of our own.

The client is honest about being slower than wrk: every result names who made the load.
"""

import asyncio
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

_MARK = "stagedoor-bench "
_LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = %s
local bodies = %s
local requests, at = {}, 0
init = function(args)
  for n, body in ipairs(bodies) do requests[n] = wrk.format(nil, nil, nil, body) end
end
request = function()
  at = at %% #requests + 1
  return requests[at]
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('%s{"count":%%d,"duration_us":%%d,"failed":%%d,"p50_us":%%d,"p99_us":%%d}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


class Load(Struct, frozen=True):
    """What to send, and how.

    Args:
        url: Where to.
        bodies: The bytes of requests, in turn.
        connections: How many at the same time, each with one request under way.
        duration_s: For how many whole seconds: wrk takes no others.
        authorization: The header of that name; empty sends none.
    """

    url: str
    bodies: tuple[bytes, ...]
    connections: int
    duration_s: int
    authorization: str = ""


class Measured(Struct, frozen=True):
    """What came of it.

    Args:
        generator: ``wrk`` or ``asyncio``.
        count: Answers.
        failed: Requests without an answer of status 200.
        rate: Answers per second.
        p50_ms: Median time to an answer.
        p99_ms: The time that one in a hundred exceeds.
    """

    generator: str
    count: int
    failed: int
    rate: float
    p50_ms: float
    p99_ms: float


def generate(load: Load) -> Measured:
    """Put load on a URL and measure; blocks for its duration."""
    wrk = shutil.which("wrk")
    return asyncio.run(drive(load)) if wrk is None else _run_wrk(wrk, load)


def _run_wrk(wrk: str, load: Load) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        bodies = ", ".join(json.dumps(body.decode()) for body in load.bodies)
        authorization = json.dumps(load.authorization) if load.authorization else "nil"
        script.write_text(_LUA % (authorization, f"{{{bodies}}}", _MARK))
        timing = ["-t1", f"-c{load.connections}", f"-d{load.duration_s}s"]
        told = subprocess.run(
            [wrk, *timing, "-s", str(script), load.url], capture_output=True, text=True, check=True
        )
    line = next(line for line in told.stdout.splitlines() if line.startswith(_MARK))
    read = json.loads(line.removeprefix(_MARK))
    return Measured(
        generator="wrk",
        count=read["count"],
        failed=read["failed"],
        rate=read["count"] / (read["duration_us"] / 1e6),
        p50_ms=read["p50_us"] / 1000,
        p99_ms=read["p99_us"] / 1000,
    )


async def drive(load: Load) -> Measured:
    """Put load on a URL with our own client: keep-alive connections on this event loop."""
    started_s = time.monotonic()
    ends_at = started_s + load.duration_s
    times_s: list[float] = []
    tasks = [_converse(load, ends_at, times_s) for _ in range(load.connections)]
    failed = sum(await asyncio.gather(*tasks))
    elapsed_s = time.monotonic() - started_s
    times_s.sort()
    return Measured(
        generator="asyncio",
        count=len(times_s),
        failed=failed,
        rate=len(times_s) / elapsed_s,
        p50_ms=_at(times_s, 0.50) * 1000,
        p99_ms=_at(times_s, 0.99) * 1000,
    )


async def _converse(load: Load, ends_at: float, times_s: list[float]) -> int:
    """Ask over one connection until the end; return how many answers were not 200."""
    target = urlsplit(load.url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    head = f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\n"
    head += "Content-Type: application/json\r\n"
    if load.authorization:
        head += f"Authorization: {load.authorization}\r\n"
    requests = itertools.cycle(
        f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in load.bodies
    )
    failed = 0
    while (sent_s := time.monotonic()) < ends_at:
        writer.write(next(requests))
        if await _read_answer(reader):
            times_s.append(time.monotonic() - sent_s)
        else:
            failed += 1
    writer.close()
    await writer.wait_closed()
    return failed


async def _read_answer(reader: asyncio.StreamReader) -> bool:
    """Read one answer; say whether it was 200."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return head.startswith(b"http/1.1 200")


def _at(ascending: list[float], share: float) -> float:
    if not ascending:
        return 0.0
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]
