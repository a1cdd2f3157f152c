"""The time as an MLmodel file writes it. Milliseconds are ``tracking.clock``'s."""

import datetime as dt


def utc_text() -> str:
    """Return the time in UTC, ``2026-01-31 12:00:00.000000``."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
