"""Whose credit a relay pays."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:

    op.add_column("relay", sa.Column("charger_id", sa.LargeBinary(), nullable=True))


def downgrade() -> None:

    op.drop_column("relay", "charger_id")
