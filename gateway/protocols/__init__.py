"""Bytes to tensors and back: one module a protocol."""
