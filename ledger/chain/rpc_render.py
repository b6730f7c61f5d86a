"""What the embedded chain holds, as JSON-RPC spells it (ethereum/execution-apis)."""

from typing import Any

from ledger.chain.protocol import Log, Receipt

Json = dict[str, Any]
_EMPTY_UNCLES: list[str] = []


def quantity_text(value: int) -> str:
    """An integer."""
    return hex(value)


def data_text(value: bytes) -> str:
    """Bytes."""
    return "0x" + bytes(value).hex()


def block_json(header: Any, transactions: list[Any]) -> Json:
    """A block; the transactions are given as they shall be shown."""
    return {
        "number": quantity_text(header.block_number),
        "hash": data_text(header.hash),
        "parentHash": data_text(header.parent_hash),
        "nonce": data_text(header.nonce),
        "mixHash": data_text(header.mix_hash),
        "sha3Uncles": data_text(header.uncles_hash),
        "logsBloom": data_text(header.bloom.to_bytes(256)),
        "transactionsRoot": data_text(header.transaction_root),
        "stateRoot": data_text(header.state_root),
        "receiptsRoot": data_text(header.receipt_root),
        "miner": data_text(header.coinbase),
        "difficulty": quantity_text(header.difficulty),
        "totalDifficulty": quantity_text(0),
        "extraData": data_text(header.extra_data),
        "size": quantity_text(0),  # Not kept, and nobody's business here.
        "gasLimit": quantity_text(header.gas_limit),
        "gasUsed": quantity_text(header.gas_used),
        "timestamp": quantity_text(header.timestamp),
        "baseFeePerGas": quantity_text(header.base_fee_per_gas),
        "withdrawalsRoot": data_text(header.withdrawals_root),
        "withdrawals": [],
        "blobGasUsed": quantity_text(header.blob_gas_used),
        "excessBlobGas": quantity_text(header.excess_blob_gas),
        "parentBeaconBlockRoot": data_text(header.parent_beacon_block_root),
        "transactions": transactions,
        "uncles": _EMPTY_UNCLES,
    }


def transaction_json(transaction: Any, header: Any, index: int) -> Json:
    """A mined transaction."""
    kind = getattr(transaction, "type_id", None) or 0
    document: Json = {
        "hash": data_text(transaction.hash),
        "nonce": quantity_text(transaction.nonce),
        "blockHash": data_text(header.hash),
        "blockNumber": quantity_text(header.block_number),
        "transactionIndex": quantity_text(index),
        "from": data_text(transaction.sender),
        "to": data_text(transaction.to) if transaction.to else None,
        "value": quantity_text(transaction.value),
        "gas": quantity_text(transaction.gas),
        "gasPrice": quantity_text(0),  # What was paid: the base fee is always zero, so is the tip.
        "input": data_text(transaction.data),
        "type": quantity_text(kind),
        "chainId": quantity_text(transaction.chain_id),
        "r": quantity_text(transaction.r),
        "s": quantity_text(transaction.s),
        "v": quantity_text(transaction.v if kind == 0 else transaction.y_parity),
    }
    if kind:
        document["yParity"] = quantity_text(transaction.y_parity)
        document["accessList"] = [
            {"address": data_text(address), "storageKeys": [_slot(slot) for slot in slots]}
            for address, slots in transaction.access_list
        ]
    if kind > 1:
        document["maxFeePerGas"] = quantity_text(transaction.max_fee_per_gas)
        document["maxPriorityFeePerGas"] = quantity_text(transaction.max_priority_fee_per_gas)
    return document


def receipt_json(receipt: Receipt, transaction: Any, *, index: int, gas_through: int) -> Json:
    """What became of a transaction.

    Args:
        gas_through: gas used in its block up to and with it.
    """
    kind = getattr(transaction, "type_id", None) or 0
    created = receipt.contract_address
    return {
        "transactionHash": data_text(receipt.tx_hash),
        "transactionIndex": quantity_text(index),
        "blockHash": data_text(receipt.block_hash),
        "blockNumber": quantity_text(receipt.block_number),
        "from": data_text(transaction.sender),
        "to": data_text(transaction.to) if transaction.to else None,
        "cumulativeGasUsed": quantity_text(gas_through),
        "gasUsed": quantity_text(receipt.gas_used),
        "effectiveGasPrice": quantity_text(0),
        "contractAddress": None if created is None else data_text(created),
        "logs": [log_json(log) for log in receipt.logs],
        "logsBloom": data_text(bytes(256)),
        "status": quantity_text(int(receipt.succeeded)),
        "type": quantity_text(kind),
    }


def log_json(log: Log) -> Json:
    """An event."""
    return {
        "address": data_text(log.address),
        "topics": [data_text(topic) for topic in log.topics],
        "data": data_text(log.data),
        "blockNumber": quantity_text(log.block_number),
        "blockHash": data_text(log.block_hash),
        "transactionHash": data_text(log.tx_hash),
        "transactionIndex": quantity_text(log.tx_index),
        "logIndex": quantity_text(log.log_index),
        "removed": False,
    }


def _slot(slot: Any) -> str:
    return data_text(slot if isinstance(slot, bytes) else slot.to_bytes(32))
