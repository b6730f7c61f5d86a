"""Signed records prove one session each; a charge point's open charges are found by index."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:

    op.create_table(
        "charge_signed_record",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("charge_transaction_open", "charge_transaction", ["charge_point_id", "ended"])


def downgrade() -> None:

    op.drop_index("charge_transaction_open", "charge_transaction")
    op.drop_table("charge_signed_record")
