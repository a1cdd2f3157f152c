"""Which versions a server holds, and what they may take: a part of ``serving`` in the settings.

``gateway.settings`` reads, checks and shows them.
"""

from typing import Annotated

from msgspec import Meta, Struct


class HoldingSettings(Struct, frozen=True, kw_only=True):
    """Which versions are held without being asked for, and how long the others stay."""

    preload: Annotated[
        tuple[str, ...],
        Meta(
            description="Models whose versions in routes are loaded at the start, `all` or `none`; "
            "a worker is ready once those in Production are. Others load at their first request."
        ),
    ] = ("all",)
    memory_budget_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="Bytes that loaded versions may take on this host, an equal part for each "
            "worker; 0 takes six tenths of what the host or container has.",
        ),
    ] = 0
    idle_unload_s: Annotated[
        float,
        Meta(
            ge=0,
            description="Seconds without a request after which a version goes that no route names.",
        ),
    ] = 600.0
