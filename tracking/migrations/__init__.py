"""The history of the whole database, run by ``tracking.schema_history`` and nobody else."""
