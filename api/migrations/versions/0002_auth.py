"""Nonces and tokens of people who sign in."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:

    op.create_table(
        "auth_nonce",
        sa.Column("nonce_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("nonce_hash"),
    )
    op.create_index(op.f("ix_auth_nonce_expires_s"), "auth_nonce", ["expires_s"])
    op.create_table(
        "auth_token",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("issued_s", sa.BigInteger(), nullable=False),
        sa.Column("expires_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index(op.f("ix_auth_token_expires_s"), "auth_token", ["expires_s"])


def downgrade() -> None:

    op.drop_index(op.f("ix_auth_token_expires_s"), "auth_token")
    op.drop_table("auth_token")
    op.drop_index(op.f("ix_auth_nonce_expires_s"), "auth_nonce")
    op.drop_table("auth_nonce")
