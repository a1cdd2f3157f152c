"""Alembic's entry: runs the history on the connection it was handed, inside its transaction."""

from alembic import context

from tracking.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
