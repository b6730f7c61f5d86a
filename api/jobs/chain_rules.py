"""A market's rules as its contract states them: what an audit goes by, whatever files say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from api.errors import NoMarket
from ledger.assignment import Rules
from ledger.chain.market import MarketReader
from ledger.chain.market_values import MarketConfig
from ledger.chain.protocol import Chain
from ledger.clearing import VolumeRule, keys_from_json, priorities_from_json
from ledger.keccak import checksum_address, keccak256
from ledger.units import Address, Hash32


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


def config_on(chain: Chain, market: Address) -> MarketConfig:
    """What a market's contract fixed.

    Raises:
        NoMarket: there is no contract at this address.
    """
    if not chain.code(market):
        raise NoMarket(chain_id=chain.chain_id, market=checksum_address(market))
    return MarketReader(chain, market).config()


def rules_of(config: MarketConfig, sharing: SharingRules) -> Rules:
    """A market's rules, with the keys that its contract holds the hash of."""
    return Rules(
        volume_rule=config.volume_rule,
        price_rule=config.price_rule,
        residual=config.residual,
        auction_k_bps=config.auction_k_bps,
        keys=keys_from_json(sharing.keys),
        priorities=priorities_from_json(sharing.priorities),
        debit_max_wh=config.debit_max_wh,
        supplier_debit_max_nano=config.supplier_debit_max_nano,
        withdrawal_delay_s=config.withdrawal_delay_s,
    )
