"""Environments of their own for versions that need other packages than the server has."""
