"""Bringing runs and models over from another store, and writing them out for one."""
