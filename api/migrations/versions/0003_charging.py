"""Sessions, transactions and what charge points said."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:

    op.create_table(
        "charge_session",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.LargeBinary(), nullable=False),
        sa.Column("driver", sa.LargeBinary(), nullable=False),
        sa.Column("charger_id", sa.LargeBinary(), nullable=False),
        sa.Column("order_deposit_micro", sa.String(), nullable=False),
        sa.Column("energy_per_kwh", sa.BigInteger(), nullable=False),
        sa.Column("start_fee", sa.BigInteger(), nullable=False),
        sa.Column("time_per_hour", sa.BigInteger(), nullable=False),
        sa.Column("idle_per_hour", sa.BigInteger(), nullable=False),
        sa.Column("valid_until_s", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("order_signature", sa.LargeBinary(), nullable=False),
        sa.Column("charge_point_id", sa.String(), nullable=False),
        sa.Column("connector_id", sa.Integer(), nullable=False),
        sa.Column("host", sa.LargeBinary(), nullable=False),
        sa.Column("record_key", sa.LargeBinary(), nullable=False),
        sa.Column("power_w", sa.BigInteger(), nullable=False),
        sa.Column("last_wh", sa.BigInteger(), nullable=False),
        sa.Column("vat_bps", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.Column("deposit_micro", sa.String(), nullable=False),
        sa.Column("opened_s", sa.BigInteger(), nullable=True),
        sa.Column("id_token", sa.String(), nullable=False),
        sa.Column("transaction_no", sa.Integer(), nullable=True),
        sa.Column("start_asked_s", sa.BigInteger(), nullable=True),
        sa.Column("stop_asked_s", sa.BigInteger(), nullable=True),
        sa.Column("stop_reason", sa.String(), nullable=False),
        sa.Column("ended_s", sa.BigInteger(), nullable=True),
        sa.Column("record_json", sa.String(), nullable=True),
        sa.Column("record_signature", sa.LargeBinary(), nullable=True),
        sa.Column("evidence_json", sa.String(), nullable=True),
        sa.Column("paid_micro", sa.String(), nullable=True),
        sa.Column("refunded_micro", sa.String(), nullable=True),
        sa.Column("open_tx", sa.LargeBinary(), nullable=True),
        sa.Column("close_tx", sa.LargeBinary(), nullable=True),
        sa.Column("metered", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id_token"),
        sa.UniqueConstraint("session_id"),
    )
    with op.batch_alter_table("charge_session", schema=None) as batch_op:
        batch_op.create_index(
            "charge_session_charger", ["charge_point_id", "connector_id"], unique=False
        )
        batch_op.create_index("charge_session_driver", ["driver"], unique=False)
        batch_op.create_index("charge_session_host", ["host"], unique=False)
        batch_op.create_index("charge_session_state", ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_charge_session_metered"), ["metered"], unique=False)

    op.create_table(
        "charge_transaction",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("charge_point_id", sa.String(), nullable=False),
        sa.Column("transaction_id", sa.String(), nullable=False),
        sa.Column("connector_id", sa.Integer(), nullable=True),
        sa.Column("id_token", sa.String(), nullable=False),
        sa.Column("session_id", sa.LargeBinary(), nullable=True),
        sa.Column("begun", sa.Boolean(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("charge_point_id", "transaction_id"),
    )
    with op.batch_alter_table("charge_transaction", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_charge_transaction_session_id"), ["session_id"], unique=False
        )

    op.create_table(
        "charge_event",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("charge_point_id", sa.String(), nullable=False),
        sa.Column("received_s", sa.BigInteger(), nullable=False),
        sa.Column("transaction_no", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("event_json", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("digest"),
    )
    with op.batch_alter_table("charge_event", schema=None) as batch_op:
        batch_op.create_index(
            "charge_event_transaction", ["transaction_no", "number"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_charge_event_received_s"), ["received_s"], unique=False
        )

    op.create_table(
        "charge_point",
        sa.Column("charge_point_id", sa.String(), nullable=False),
        sa.Column("contact_s", sa.BigInteger(), nullable=False),
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("vendor", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("serial", sa.String(), nullable=False),
        sa.Column("firmware", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("charge_point_id"),
    )
    op.create_table(
        "charge_connector",
        sa.Column("charge_point_id", sa.String(), nullable=False),
        sa.Column("connector_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("availability", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("since_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("charge_point_id", "connector_id"),
    )
    op.create_table(
        "charge_top_up",
        sa.Column("session_id", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("add_micro", sa.String(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "nonce"),
    )


def downgrade() -> None:

    op.drop_table("charge_top_up")
    op.drop_table("charge_connector")
    op.drop_table("charge_point")
    op.drop_table("charge_event")
    op.drop_table("charge_transaction")
    op.drop_table("charge_session")
