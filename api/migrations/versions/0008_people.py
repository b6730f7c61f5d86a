"""Who joins, which meters they bring, and answers that are given again."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:

    op.create_table(
        "person",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("show_name", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("person_id"),
        sa.UniqueConstraint("account"),
    )
    op.create_table(
        "application",
        sa.Column("application_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("open_address", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.Column("decided_s", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("application_id"),
        sa.UniqueConstraint("person_id"),
        sa.UniqueConstraint("open_address"),
    )
    op.create_index(op.f("ix_application_address"), "application", ["address"])
    op.create_index(op.f("ix_application_state"), "application", ["state"])
    op.create_table(
        "pairing",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("taken_label", sa.String(), nullable=True),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("taken_key", sa.LargeBinary(), nullable=True),
        sa.Column("meter_class", sa.String(), nullable=False),
        sa.Column("limit_w", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("valid_from_s", sa.BigInteger(), nullable=True),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.Column("decided_s", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("meter_id"),
        sa.UniqueConstraint("taken_label"),
        sa.UniqueConstraint("taken_key"),
    )
    op.create_index(op.f("ix_pairing_account"), "pairing", ["account"])
    op.create_index(op.f("ix_pairing_owner"), "pairing", ["owner"])
    op.create_index(op.f("ix_pairing_state"), "pairing", ["state"])
    op.create_table(
        "idempotent_answer",
        sa.Column("caller", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("expires_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key"),
    )
    op.create_index(op.f("ix_idempotent_answer_expires_s"), "idempotent_answer", ["expires_s"])


def downgrade() -> None:

    op.drop_index(op.f("ix_idempotent_answer_expires_s"), "idempotent_answer")
    op.drop_table("idempotent_answer")
    for column in ("state", "owner", "account"):
        op.drop_index(op.f(f"ix_pairing_{column}"), "pairing")
    op.drop_table("pairing")
    for column in ("state", "address"):
        op.drop_index(op.f(f"ix_application_{column}"), "application")
    op.drop_table("application")
    op.drop_table("person")
