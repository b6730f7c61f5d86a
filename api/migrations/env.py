"""Run by alembic on the connection that the caller opened."""

from alembic import context
from sqlmodel import SQLModel

import metering.store  # noqa: F401 (each import makes its tables known)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
)
context.run_migrations()
