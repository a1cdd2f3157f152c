"""Who may do what. Pure: principals are values, and a decision needs nothing but them."""

from enum import StrEnum

from msgspec import Struct


class Permission(StrEnum):
    """What a route asks of its caller."""

    OPEN = "open"
    """Nothing: health and version."""
    READ = "read"
    """See experiments, runs, models, routes, metrics."""
    LOG = "log"
    """Write experiments, runs and artifacts."""
    REGISTER = "register"
    """Create and describe models, versions, tags, aliases."""
    STAGE = "stage"
    """Move a version between stages."""
    PROMOTE = "promote"
    """Change which version answers: promote, roll back, split."""
    PREDICT = "predict"
    """Ask a model."""
    OVERRIDE = "override"
    """Force a variant."""
    ADMIN = "admin"
    """Everything."""


class Principal(Struct, frozen=True):
    """Whoever sent a request. Immutable.

    Args:
        name: Who, for logs and for the record of transitions.
        permissions: What they may do.
    """

    name: str
    permissions: frozenset[Permission]


LOCAL = Principal("local", frozenset(Permission))
"""Whoever calls a server that has auth off, which listens on loopback only."""


def allows(principal: Principal | None, permission: Permission) -> bool:
    """Decide whether a principal, or nobody, may use a route that asks for ``permission``."""
    if permission is Permission.OPEN:
        return True
    if principal is None:
        return False
    return permission in principal.permissions or Permission.ADMIN in principal.permissions
