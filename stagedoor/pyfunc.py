"""Any model, whatever made it: load, then ``predict``."""

from stagedoor.models import load_model

__all__ = ["load_model"]
