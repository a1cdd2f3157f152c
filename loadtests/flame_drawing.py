"""Sampled stacks as a picture: each function as wide as its share of the samples. Pure.

Plain SVG without scripts: hold the pointer on a box to read its name and share.
"""

from collections.abc import Iterable, Iterator
from html import escape

from msgspec import Struct

WIDTH = 1200
_ROW = 17
_TOP = 46
_LEAST_SHARE = 0.002
_ALL_BUT_NOTHING = 0.95
_LETTER = 6.2
_COLOURS = {
    "gateway/protocols": ("#7fb3d5", "decode and encode"),
    "gateway/serving": ("#f0b27a", "the engine, and who waits for it"),
    "gateway/": ("#a9dfbf", "HTTP, routes, counting"),
    "": ("#d5d8dc", "libraries"),
}


class Frame:
    """A function with all that it was seen to call; filled by ``fold``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.samples = 0
        self.calls: dict[str, Frame] = {}


class Box(Struct, frozen=True):
    """A function in the picture.

    Args:
        name: What it is called.
        depth: How far from the top.
        start: Share of samples to its left.
        share: Of all samples.
    """

    name: str
    depth: int
    start: float
    share: float


def fold(lines: Iterable[str]) -> Frame:
    """Read stacks, each a line: functions from the outermost in, by ``;``, a blank, a count."""
    root = Frame("all")
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        if not stack:
            continue
        frame = root
        frame.samples += int(count)
        for name in stack.split(";"):
            frame = frame.calls.setdefault(name, Frame(name))
            frame.samples += int(count)
    return _without_prelude(root)


def boxes(root: Frame) -> Iterator[Box]:
    """Yield all functions that are wide enough to be seen, callers first."""
    if root.samples:
        yield from _boxes(root, 0, 0.0, root.samples)


def draw(root: Frame, title: str) -> str:
    """Return the picture as SVG."""
    found = list(boxes(root))
    height = _TOP + _ROW * (1 + max((box.depth for box in found), default=0)) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        '<g font-family="monospace" font-size="10.5">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="6" y="15" font-size="13">{escape(title)}</text>',
        *_legend(),
        *map(_box, found),
        "</g></svg>",
    ]
    return "\n".join(lines) + "\n"


def _without_prelude(root: Frame) -> Frame:
    """Leave out the functions that all but call the next one: how a process got to its loop."""
    while root.calls:
        widest = max(root.calls.values(), key=lambda frame: frame.samples)
        if widest.samples < _ALL_BUT_NOTHING * root.samples:
            return root
        root = widest
    return root


def _boxes(frame: Frame, depth: int, start: float, total: int) -> Iterator[Box]:
    yield Box(frame.name, depth, start, frame.samples / total)
    for called in sorted(frame.calls.values(), key=lambda one: (-one.samples, one.name)):
        share = called.samples / total
        if share >= _LEAST_SHARE:
            yield from _boxes(called, depth + 1, start, total)
        start += share


def _legend() -> Iterator[str]:
    at = 6
    for colour, said in _COLOURS.values():
        yield f'<rect x="{at}" y="23" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{at + 16}" y="33">{said}</text>'
        at += 40 + int(_LETTER * len(said))


def _box(box: Box) -> str:
    x, width = box.start * WIDTH, box.share * WIDTH
    y = _TOP + box.depth * _ROW
    colour = next(value for start, (value, _) in _COLOURS.items() if start in box.name)
    room = int((width - 6) / _LETTER)
    label = box.name if len(box.name) <= room else f"{box.name[: room - 1]}…" if room > 3 else ""  # noqa: PLR2004 - less says nothing
    return (
        f"<g><title>{escape(box.name)}: {box.share:.1%}</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_ROW - 1}" fill="{colour}" '
        f'stroke="white" stroke-width="0.5"/>'
        f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(label)}</text></g>'
    )
