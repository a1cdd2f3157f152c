"""What is said of a model that has no engine. In the model's process."""


class NoEngine(Exception):
    """A model has no form as an engine; the message says why, for people."""
