"""The control plane, wire-compatible with MLflow."""
