"""Counts of several processes: a script with what it takes to fork some and to scrape them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PREPARE = """
import os, sys
from pathlib import Path
from gateway.settings import prepare_metrics_folder
folder = Path(sys.argv[1])
prepare_metrics_folder(folder)
from gateway import metrics

def in_child(work):
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    os.waitpid(pid, 0)
    return pid

def value(name):
    lines = metrics.scrape().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

def count(times):
    labels = metrics.RequestLabels(model="m", version="1", variant="", protocol="mlflow")
    for _ in range(times):
        metrics.observe_request(labels, "200", 0.01)
    metrics.ROUTE_EPOCH.labels("m").set(times)
    metrics.inflight("m").inc()
"""


def run(script: str, folder: Path) -> str:
    """Run a script in a process that counts into a folder; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + script, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return done.stdout.strip()
