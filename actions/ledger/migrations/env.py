"""What Alembic runs: migrations on the connection that it was handed."""

from __future__ import annotations

from alembic import context

from actions.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction holds it all
)
context.run_migrations()
