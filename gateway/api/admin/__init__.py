"""The control plane that is ours: promotion, rollback, traffic, status."""
