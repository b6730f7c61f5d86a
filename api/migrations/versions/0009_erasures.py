"""What was erased of what the market was settled from."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:

    op.create_table(
        "erasure",
        sa.Column("erasure_id", sa.Integer(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=True),
        sa.Column("from_s", sa.BigInteger(), nullable=False),
        sa.Column("until_s", sa.BigInteger(), nullable=False),
        sa.Column("erased_at_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("erasure_id"),
    )


def downgrade() -> None:

    op.drop_table("erasure")
