"""The bench as a picture: each target's share of the floor."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from loadtests.ratios import FLOOR, Row

_INCHES = (8, 4)
_WIDTH = 0.8


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw a bar for each target and number of connections, with its spread."""
    targets = list(dict.fromkeys(row.target for row in rows if row.target != FLOOR))
    counts = list(dict.fromkeys(row.connections for row in rows))
    figure = Figure(figsize=_INCHES, layout="constrained")
    axes = figure.add_subplot()
    for index, connections in enumerate(counts):
        mine = {row.target: row for row in rows if row.connections == connections}
        bars = [mine[target] for target in targets]
        places = [place + index * _WIDTH / len(counts) for place in range(len(targets))]
        lower = [bar.share - bar.share_spread[0] for bar in bars]
        upper = [bar.share_spread[1] - bar.share for bar in bars]
        shares = [bar.share for bar in bars]
        label = f"c{connections}"
        axes.bar(places, shares, _WIDTH / len(counts), yerr=(lower, upper), capsize=3, label=label)
    axes.set_xticks([place + _WIDTH / 4 for place in range(len(targets))], targets)
    axes.set_ylabel("share of the floor's requests/s")
    axes.legend()
    figure.savefig(path, dpi=120)
