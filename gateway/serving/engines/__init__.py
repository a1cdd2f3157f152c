"""Engines: forms of a model that answer inside the worker, as plain arrays. See README.md."""
