"""``make chaos``: what takes minutes to show. Called as ``python -m tests.chaos.run [options]``.

Each scenario prints its seed, its figures and its verdict; one violation makes the exit code 1.
"""

import secrets
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

import click

from tests.chaos import failing_writes, hostile, kills, large_files, promoters, webhooks_down
from tests.chaos.scenario import Orders, Result, Scenario

SCENARIOS: Mapping[str, Scenario] = {
    "hostile": Scenario(hostile.run, 1, "rounds of all deeds"),
    "large": Scenario(large_files.run, 5, "GiB"),
    "kills": Scenario(kills.run, 200, "kills of everything"),
    "promoters": Scenario(promoters.run, 10_000, "operations"),
    "webhooks": Scenario(webhooks_down.run, 600, "seconds"),
    "limits": Scenario(failing_writes.run_limits, 100, "writes that fail"),
    "disk": Scenario(failing_writes.run_full_disk, 20, "full disks"),
}
_MOST_SHOWN = 10
_LONGEST_FAULT = 2_000


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(SCENARIOS)), help="Which; or all.")
@click.option("--loops", type=int, help="How often, long or much; each has its own unit.")
@click.option("--seed", type=int, help="Of all chance; a new one if not given.")
def command(only: tuple[str, ...], loops: int | None, seed: int | None) -> None:
    """Run scenarios, one after the other."""
    chosen = {name: SCENARIOS[name] for name in only or SCENARIOS}
    sys.exit(run_all(chosen, loops, secrets.randbits(32) if seed is None else seed))


def run_all(scenarios: Mapping[str, Scenario], loops: int | None, seed: int) -> int:
    """Run scenarios and say what came of each; return 1 if anything was violated."""
    verdicts = [_run(name, scenario, loops, seed) for name, scenario in scenarios.items()]
    return 0 if verdicts and all(verdicts) else 1


def _run(name: str, scenario: Scenario, loops: int | None, seed: int) -> bool:
    count = scenario.loops if loops is None else loops
    click.echo(f"{name}: {count:,} {scenario.unit}, --seed {seed}")
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"chaos-{name}-") as folder:
        try:
            result = scenario.run(Orders(Path(folder), count, seed))
        except Exception:  # noqa: BLE001 - the others are run all the same
            result = Result("it broke off", [traceback.format_exc()])
    for fault in result.faults[:_MOST_SHOWN]:
        click.echo(f"  {fault[:_LONGEST_FAULT]}")
    verdict = f"VIOLATED {len(result.faults):,} times" if result.faults else "held"
    click.echo(f"{name}: {verdict}; {result.told}; {time.monotonic() - begun_s:.0f} s")
    return not result.faults


if __name__ == "__main__":
    command()
