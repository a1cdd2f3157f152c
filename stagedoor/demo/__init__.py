"""The demo: the product's whole main job on real data, in under two minutes.

``story`` tells it; ``stagedoor demo`` and ``make demo`` run it.
"""

from stagedoor.demo.story import main

__all__ = ["main"]
