"""Ask MLflow's own server and ours the same, and tell what differs. ``make interop``.

    python -m tests.interop.compare [--record]

Both start fresh. Exits with 1 on a difference that ``known_differences`` does not explain, and on
an entry there that explains nothing. ``--record`` keeps MLflow's answers for the quick test.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from loadtests.mlflow_server import mlflow_server
from tests.interop import recording
from tests.interop.calls.all_calls import call_everything
from tests.interop.client import run_script
from tests.interop.comparing import Answers, compare
from tests.interop.known_differences import explain
from tests.journeys.server import Server, running


def main() -> int:
    """Compare, and print.

    Returns:
        0 when all is as expected, else 1.
    """
    parser = argparse.ArgumentParser(prog="tests.interop.compare", description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep MLflow's answers")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stagedoor-interop-") as made:
        folder = Path(made)
        with mlflow_server(folder / "theirs") as url:
            theirs = ask(url, folder / "their answers")
        with running(Server(folder / "ours")) as server:
            ours = ask(server.url, folder / "our answers")
    if given.record:
        recording.save(theirs)
    found = compare(theirs, ours)
    unexplained, stale = explain(found)
    for difference in unexplained:
        _say(f"{difference.call} | {difference.field} | {difference.theirs} | {difference.ours}")
    for known in stale:
        _say(f"explains nothing: {known.calls!r} {known.field!r}: {known.reason}")
    calls = len({difference.call for difference in found})
    _say(
        f"{len(theirs)} calls, {len(theirs) - calls} answered alike in every field,"
        f" {calls} differ as explained but for {len(unexplained)} fields."
    )
    return 1 if unexplained or stale else 0


def ask(url: str, folder: Path) -> Answers:
    """Return what a fresh server answers to all calls: raw ones, then those of the real client."""
    folder.mkdir()
    answers = dict(call_everything(url))
    for call, told in run_script("client_calls.py", url=url, folder=folder).items():
        answers[f"client: {call}"] = {"status": 200, "body": told}
    return answers


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
