"""Readings, index, outbox and settlements."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:

    op.create_table(
        "community_fact",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "index_block",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("parent_hash", sa.LargeBinary(), nullable=False),
        sa.Column("timestamp_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "index_calldata",
        sa.Column("tx_hash", sa.LargeBinary(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tx_hash"),
    )
    with op.batch_alter_table("index_calldata", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_index_calldata_block_number"), ["block_number"], unique=False
        )

    op.create_table(
        "index_contract",
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("start_block", sa.BigInteger(), nullable=False),
        sa.Column("next_block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_table(
        "index_head",
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("parent_hash", sa.LargeBinary(), nullable=False),
        sa.Column("timestamp_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chain_id"),
    )
    op.create_table(
        "index_log",
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("tx_hash", sa.LargeBinary(), nullable=False),
        sa.Column("tx_index", sa.Integer(), nullable=False),
        sa.Column("topics", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("block_number", "log_index"),
    )
    with op.batch_alter_table("index_log", schema=None) as batch_op:
        batch_op.create_index("index_log_address", ["address", "block_number"], unique=False)

    op.create_table(
        "meter",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("label"),
        sa.UniqueConstraint("meter_id"),
    )
    op.create_table(
        "outbox_chain",
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("genesis_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chain_id"),
    )
    op.create_table(
        "outbox_intent",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.LargeBinary(), nullable=False),
        sa.Column("to_address", sa.LargeBinary(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("gas", sa.BigInteger(), nullable=True),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.Column("not_before_s", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=True),
        sa.Column("taken_block", sa.BigInteger(), nullable=True),
        sa.Column("mined_tx_hash", sa.LargeBinary(), nullable=True),
        sa.Column("mined_block", sa.BigInteger(), nullable=True),
        sa.Column("mined_block_hash", sa.LargeBinary(), nullable=True),
        sa.Column("succeeded", sa.Boolean(), nullable=True),
        sa.Column("gas_used", sa.BigInteger(), nullable=True),
        sa.Column("contract_address", sa.LargeBinary(), nullable=True),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("entry_id"),
        sa.UniqueConstraint("key"),
    )
    with op.batch_alter_table("outbox_intent", schema=None) as batch_op:
        batch_op.create_index("outbox_intent_nonce", ["chain_id", "sender", "nonce"], unique=False)
        batch_op.create_index("outbox_intent_state", ["chain_id", "state"], unique=False)

    op.create_table(
        "reading",
        sa.Column("meter_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("taken_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("import_wh", sa.BigInteger(), nullable=False),
        sa.Column("export_wh", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("accepted_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("meter_no", "taken_s", "version"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("reading", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reading_accepted_s"), ["accepted_s"], unique=False)

    op.create_table(
        "settlement_run",
        sa.Column("period_start_s", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("cutoff_at_s", sa.BigInteger(), nullable=False),
        sa.Column("prices", sa.LargeBinary(), nullable=False),
        sa.Column("totals", sa.LargeBinary(), nullable=False),
        sa.Column("totals_salt", sa.LargeBinary(), nullable=False),
        sa.Column("deltas", sa.LargeBinary(), nullable=False),
        sa.Column("shorts_json", sa.String(), nullable=False),
        sa.Column("statements_root", sa.LargeBinary(), nullable=False),
        sa.Column("windows_hash", sa.LargeBinary(), nullable=False),
        sa.Column("deltas_root", sa.LargeBinary(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("final_tx", sa.LargeBinary(), nullable=True),
        sa.Column("gas_used", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("period_start_s", "run"),
    )
    op.create_table(
        "settlement_statement",
        sa.Column("period_start_s", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("rows", sa.LargeBinary(), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("applied_before_nano", sa.BigInteger(), nullable=False),
        sa.Column("shortfall_nano", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("period_start_s", "run", "account"),
    )
    op.create_table(
        "outbox_attempt",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("tx_hash", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("gas", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("max_fee_wei", sa.BigInteger(), nullable=False),
        sa.Column("priority_fee_wei", sa.BigInteger(), nullable=False),
        sa.Column("signed_s", sa.BigInteger(), nullable=False),
        sa.Column("abandoned", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["outbox_intent.entry_id"],
        ),
        sa.PrimaryKeyConstraint("entry_id", "ordinal"),
    )
    with op.batch_alter_table("outbox_attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_attempt_tx_hash"), ["tx_hash"], unique=False)


def downgrade() -> None:

    with op.batch_alter_table("outbox_attempt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outbox_attempt_tx_hash"))

    op.drop_table("outbox_attempt")
    op.drop_table("settlement_statement")
    op.drop_table("settlement_run")
    with op.batch_alter_table("reading", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reading_accepted_s"))

    op.drop_table("reading")
    with op.batch_alter_table("outbox_intent", schema=None) as batch_op:
        batch_op.drop_index("outbox_intent_state")
        batch_op.drop_index("outbox_intent_nonce")

    op.drop_table("outbox_intent")
    op.drop_table("outbox_chain")
    op.drop_table("meter")
    with op.batch_alter_table("index_log", schema=None) as batch_op:
        batch_op.drop_index("index_log_address")

    op.drop_table("index_log")
    op.drop_table("index_head")
    op.drop_table("index_contract")
    with op.batch_alter_table("index_calldata", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_index_calldata_block_number"))

    op.drop_table("index_calldata")
    op.drop_table("index_block")
    op.drop_table("community_fact")
