"""The control plane for people."""
