"""The bench as a picture: requests per second of every target, by case, on one logarithmic axis."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from loadtests.ratios import Row

_INCH_PER_CASE = 0.32
_HEIGHT = 5.0
_LEAST_WIDTH = 7.0


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw a mark for each target in each case."""
    cases = list(dict.fromkeys(row.case for row in rows))
    places = {case: place for place, case in enumerate(cases)}
    width = max(_LEAST_WIDTH, _INCH_PER_CASE * len(cases) + 2)
    figure = Figure(figsize=(width, _HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    for target in dict.fromkeys(row.target for row in rows):
        mine = [row for row in rows if row.target == target]
        axes.plot(
            [places[row.case] for row in mine],
            [row.rate for row in mine],
            marker="o",
            linestyle="none",
            label=target,
        )
    labels = [f"{c.model} r{c.rows} c{c.connections} w{c.workers}" for c in cases]
    axes.set_xticks(range(len(cases)), labels, rotation=90)
    axes.set_yscale("log")
    axes.set_ylabel("requests/s")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(ncols=3)
    figure.savefig(path, dpi=120)
