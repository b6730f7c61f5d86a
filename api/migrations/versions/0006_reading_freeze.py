"""Up to when readings are frozen: what intake and planning share."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:

    op.create_table(
        "reading_freeze",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("through_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    # Nothing was accepted at or before a cutoff any more, once a run was planned with it.
    op.execute(
        "INSERT INTO reading_freeze (number, through_s)"
        " SELECT 1, MAX(cutoff_at_s) FROM settlement_run HAVING COUNT(*) > 0"
    )


def downgrade() -> None:

    op.drop_table("reading_freeze")
