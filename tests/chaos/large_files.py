"""Artifacts of some GiB, sent and fetched, in memory that stays flat."""

from tests.chaos.scenario import Orders, Result
from tests.journeys.large_files import fetch, peak_bytes, send
from tests.journeys.server import Server, running

MOST_GROWTH_BYTES = 64 << 20


def run(orders: Orders) -> Result:
    """Send and fetch 1 GiB and then ``loops`` GiB; what comes back must be what was sent."""
    faults: list[str] = []
    with running(Server(orders.folder / "server")) as server:
        send(server, "warm", 4)
        fetch(server, "warm")
        before = peak_bytes(server)
        faults += [
            f"{gibs} GiB came back as something else"
            for gibs in (1, orders.loops)
            if send(server, f"large/{gibs}", gibs << 10) != fetch(server, f"large/{gibs}")
        ]
        grown = peak_bytes(server) - before
    if grown > MOST_GROWTH_BYTES:
        faults.append(f"a worker grew by {grown:,} bytes")
    return Result(f"1 and {orders.loops} GiB both ways, peak memory + {grown >> 10:,} KiB", faults)
