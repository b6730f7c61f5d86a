"""A market's rules as its contract states them: what an audit goes by, whatever files say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.assignment import Rules
from ledger.chain.abi import decode_result, encode_call
from ledger.chain.protocol import Chain
from ledger.chain.replay import MARKET
from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.clearing.keys import POOL
from ledger.keccak import keccak256
from ledger.periods import Schedule
from ledger.units import AccountId, Address, Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRules:
    """What a market's constructor fixed."""

    token: Address
    registry: Address
    schedule: Schedule
    rules: Rules
    keys_hash: Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingRules:
    """Keys and priorities as JSON spells them; the contract holds their hash only."""

    keys: Mapping[str, Mapping[str, int]]
    priorities: Mapping[str, list[int]]

    def hash_for(self, volume_rule: VolumeRule) -> Hash32:
        """keccak256 of the RFC 8785 JSON of what the rule uses; zero where it uses neither."""
        if volume_rule is VolumeRule.PRIORITY:
            document: object = self.priorities
        elif volume_rule is VolumeRule.STATIC:
            document = self.keys
        else:
            return Hash32(bytes(32))
        return keccak256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


def read_rules(chain: Chain, market: Address, sharing: SharingRules) -> ChainRules:
    """Reads a market's rules from its contract."""
    config = view(chain, MARKET, market, "config")
    return ChainRules(
        token=Address(config["token"]),
        registry=Address(config["registry"]),
        schedule=Schedule(
            first_period_start_s=config["firstPeriodStart"],
            window_s=config["windowS"],
            period_windows=config["periodWindows"],
            grace_s=config["graceS"],
            dispute_period_s=config["disputePeriodS"],
            finalize_within_s=config["finalizeWithinS"],
        ),
        rules=Rules(
            volume_rule=list(VolumeRule)[config["volumeRule"]],
            price_rule=list(PriceRule)[config["priceRule"]],
            residual=list(Residual)[config["residual"]],
            auction_k_bps=config["auctionKBps"],
            keys={
                POOL if producer == POOL else AccountId(int(producer)): {
                    AccountId(int(consumer)): bps for consumer, bps in shares.items()
                }
                for producer, shares in sharing.keys.items()
            },
            priorities={
                AccountId(int(producer)): [AccountId(consumer) for consumer in consumers]
                for producer, consumers in sharing.priorities.items()
            },
            debit_max_wh=config["debitMaxWh"],
            supplier_debit_max_nano=config["supplierDebitMaxNano"],
            withdrawal_delay_s=config["withdrawalDelayS"],
        ),
        keys_hash=Hash32(config["keysHash"]),
    )


def view(chain: Chain, contract: str, address: Address, function: str, *arguments: Any) -> Any:
    """Calls a contract's view function."""
    return decode_result(
        contract, function, chain.call(address, encode_call(contract, function, arguments))
    )
