"""Which versions exist, in which stage, and how a model is packed and loaded."""
