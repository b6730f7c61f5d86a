"""Run by alembic on the connection that the caller opened."""

from alembic import context
from sqlmodel import SQLModel

# Each import makes its tables known.
import api.auth_store
import api.idempotency_store
import api.jobs.forgetting.erasures_store
import api.jobs.oversight.audits_store
import api.jobs.people.pairing_store
import api.jobs.people.people_store
import api.jobs.people.relay_store  # noqa: F401
import charging.store  # noqa: F401
import ledger.index_store
import ledger.outbox_store
import ledger.settlement_store  # noqa: F401
import metering.store  # noqa: F401

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
)
context.run_migrations()
