"""What people signed, on its way to the chain."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:

    op.create_table(
        "relay",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("relay_id", sa.LargeBinary(), nullable=False),
        sa.Column("slot", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("owner", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=True),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("amount_micro", sa.String(), nullable=True),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("relay_id"),
        sa.UniqueConstraint("slot"),
    )
    op.create_index("relay_account", "relay", ["account", "number"])
    op.create_index("relay_owner", "relay", ["owner", "kind"])


def downgrade() -> None:

    op.drop_index("relay_owner", "relay")
    op.drop_index("relay_account", "relay")
    op.drop_table("relay")
