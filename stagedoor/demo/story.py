"""The demo from its start to its end: train, register, serve, canary, promote, all under load.

``main`` blocks; the server is a process of its own, and the callers live on an event loop here.
"""

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from msgspec import Struct

import stagedoor
from stagedoor.demo.admin import Admin
from stagedoor.demo.claims import WEIGHT_BP, Story, all_met, claims_of
from stagedoor.demo.report import Report
from stagedoor.demo.server_process import ServerOptions, ServerProcess, free_port, run_server
from stagedoor.demo.tally import Call, Tally, started_after, tally
from stagedoor.demo.traffic import Traffic
from stagedoor.demo.training import (
    MODEL,
    Digits,
    Trained,
    load_digits,
    train_shallow_tree,
    train_support_vectors,
)

PORT = 5000
"""Where the server listens if nobody else does."""
_PHASE_LIMIT_S = 12.0
_BAR_EVERY_S = 0.25
_REASONS = 5


class Pace(Struct, frozen=True):
    """How many calls each act takes, unless it takes too long.

    Args:
        stable: While one version has all of the traffic.
        canary: While it is split.
        around: Before the promotion is asked for, and again after it is done.
    """

    stable: int = 1500
    canary: int = 5000
    around: int = 1000


class DemoOptions(Struct, frozen=True):
    """How the demo is run.

    Args:
        once: End when it is done instead of leaving the server up.
        port: Where to listen; another one when it is taken.
        workers: Worker processes of the server.
        data_dir: Where everything goes; a folder that is removed at the end when not given.
        pace: How long the acts are.
    """

    once: bool = False
    port: int = PORT
    workers: int = 2
    data_dir: Path | None = None
    pace: Pace = Pace()


class Cast(Struct, frozen=True):
    """Who plays: the data, and the version before and after."""

    digits: Digits
    old: Trained
    new: Trained


def main(options: DemoOptions) -> int:
    """Run the demo, printing as it goes.

    Returns:
        0 when everything it claims held, else 1.

    Raises:
        Unavailable: The server did not start, or refused a change.
    """
    report = Report()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(options, report)
    except KeyboardInterrupt:
        report.note("Ended.")
        return 1 if options.once else 0
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options: DemoOptions, report: Report) -> int:
    with _folder(options) as folder, run_server(_server(options, folder)) as server:
        report.step(f"Server with {options.workers} workers at {server.url}")
        code = _play(server, report, options.pace)
        if not options.once:
            _leave_up(server, report)
        return code


def _play(server: ServerProcess, report: Report, pace: Pace) -> int:
    chosen = stagedoor.get_tracking_uri()
    stagedoor.set_tracking_uri(server.url)
    try:
        cast = _train(report)
        with Admin(server.url) as admin:
            return asyncio.run(_serve(Stage(server.url, admin, report, cast), pace))
    finally:
        stagedoor.set_tracking_uri(chosen)


def _train(report: Report) -> Cast:
    report.step("Train two classifiers on handwritten digits; log and register both over HTTP")
    digits = load_digits()
    cast = Cast(digits, train_shallow_tree(digits), train_support_vectors(digits))
    report.trained(MODEL, cast.old)
    report.trained(MODEL, cast.new)
    return cast


async def _serve(stage: "Stage", pace: Pace) -> int:
    new, report = stage.cast.new, stage.report
    await stage.put_up()
    async with stage.traffic.flowing():
        report.step(f"Version {stage.cast.old.version} alone takes the traffic")
        report.phase(await stage.act("production", pace.stable))
        report.step(f"Canary: {WEIGHT_BP / 10_000:.0%} of users go to version {new.version}")
        await asyncio.to_thread(stage.admin.set_traffic, MODEL, WEIGHT_BP)
        canary = await stage.act("canary", pace.canary)
        report.phase(canary)
        report.step(f"Promote version {new.version} to Production, under this load")
        before = len(stage.traffic.calls)
        active_at_s = await stage.promote(pace.around)
    after = stage.traffic.calls[before:]
    report.phase(stage.tally(after))
    late = [call for call in started_after(after, active_at_s) if call.version != new.version]
    return stage.conclude(Story(stage.tally(stage.traffic.calls), canary, new.version, len(late)))


class Stage:
    """What the acts of the demo share. Event loop only.

    Args:
        url: The server's.
        admin: Changes its routes.
        report: Where to print.
        cast: The data and the versions.
    """

    def __init__(self, url: str, admin: Admin, report: Report, cast: Cast) -> None:
        self.admin = admin
        self.report = report
        self.cast = cast
        self.traffic = Traffic(url, MODEL, cast.digits.rows.tolist())
        self._labels: list[int] = cast.digits.labels.tolist()

    async def put_up(self) -> None:
        """Bring one version to Production and the other to Staging."""
        old, new = self.cast.old.version, self.cast.new.version
        self.report.step(f"Version {old} to Production, version {new} to Staging")
        await asyncio.to_thread(self.admin.promote, MODEL, old)
        await asyncio.to_thread(self.admin.promote, MODEL, new, "Staging")

    async def act(self, name: str, count: int) -> Tally:
        """Let the traffic flow for so many calls and add them up.

        What was under way when the act began was routed before it, and is not counted.
        """
        before, began_s = len(self.traffic.calls), time.monotonic()
        async with self._bar(name, before, count):
            await self.traffic.more(count, within_s=_PHASE_LIMIT_S)
        return self.tally(started_after(self.traffic.calls[before:], began_s))

    async def promote(self, around: int) -> float:
        """Promote the candidate with so many calls before and after; return when it was active."""
        new, before = self.cast.new.version, len(self.traffic.calls)
        async with self._bar("promotion", before, 2 * around):
            await self.traffic.more(around, within_s=_PHASE_LIMIT_S)
            asked_at_s = time.monotonic()
            done = await asyncio.to_thread(self.admin.promote, MODEL, new)
            active_at_s = time.monotonic()
            await self.traffic.more(around, within_s=_PHASE_LIMIT_S)
        self.report.note(
            f"Switched: every worker serves version {new}, epoch {done['epoch']}, "
            f"{(active_at_s - asked_at_s) * 1000:.0f} ms after it was asked for"
        )
        return active_at_s

    def tally(self, calls: list[Call]) -> Tally:
        """Add up calls, judged by each version's own answers."""
        answers = {part.version: part.answers for part in (self.cast.old, self.cast.new)}
        return tally(calls, self._labels, answers)

    def conclude(self, story: Story) -> int:
        """Print what holds; return the exit code."""
        claims = claims_of(story)
        self.report.step("In all")
        self.report.claims(claims)
        self.report.reasons(
            sorted({call.why for call in self.traffic.calls if call.why})[:_REASONS]
        )
        return 0 if all_met(claims) else 1

    @asynccontextmanager
    async def _bar(self, name: str, before: int, total: int) -> AsyncIterator[None]:
        with self.report.progress(name) as bar:

            async def draw() -> None:
                while bar.is_shown:
                    calls = self.traffic.calls[before:]
                    bar.show(len(calls), total, _live(self.tally(calls)))
                    await asyncio.sleep(_BAR_EVERY_S)

            drawing = asyncio.create_task(draw())
            try:
                yield
            finally:
                drawing.cancel()


def _live(now: Tally) -> str:
    parts = "  ".join(
        f"v{part.version} {part.share:.0%} ({part.accuracy:.0%} right)" for part in now.versions
    )
    return f"{parts}  {now.rate:,.0f}/s  p99 {now.p99_ms:.0f} ms"


def _server(options: DemoOptions, folder: Path) -> ServerOptions:
    return ServerOptions(folder=folder, port=free_port(options.port), workers=options.workers)


@contextmanager
def _folder(options: DemoOptions) -> Iterator[Path]:
    if options.data_dir is not None:
        yield options.data_dir
        return
    folder = Path(tempfile.mkdtemp(prefix="stagedoor-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _leave_up(server: ServerProcess, report: Report) -> None:
    report.step(f"The server stays up at {server.url}; Ctrl-C ends it. For example:")
    report.note(f"{server.url}/schema")
    report.note(f"{server.url}/admin/models/{MODEL}")
    report.note(f"{server.url}/metrics")
    server.process.wait()
