"""Request to version: stages, aliases, splits, sticky hashing."""
