"""A driver's key: from an encrypted file, or one to play with on a trial's own chain."""

import time
from pathlib import Path
from typing import Final

from api.config import CommunityConfig
from api.datadir import DataDir
from api.driver.answers import Market
from api.errors import BadInput
from api.files import our_file
from api.keys import demo_secret
from ledger.chain import settlement_token
from ledger.chain.errors import ChainUnavailable, ContractReverted, Refusal, TransactionRefused
from ledger.chain.protocol import Chain
from ledger.chain.wallet import Wallet
from ledger.keccak import keccak256
from ledger.units import Address, Hash32

OWNER: Final = "owner"
OPTION: Final = "--demo-wallet"
POCKET_MICRO: Final = 100_000_000  # What a demo wallet has after it was filled, at least.
MINT_TRIES: Final = 3
MINED_WITHIN_S: Final = 60
POLL_S: Final = 0.2
_PREFIX: Final = b"wattledger demo driver\n"


class DemoWallets:
    """Drivers' keys: a demo's published ones, else made of the directory's own secret.

    They are kept nowhere, and always the same.

    Nothing is written: a service may hold the directory open.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            NoCommunity, StorageFailed: there is no data directory.
            BadInput: its token is a real one, which nobody can make more of.
        """
        directory = DataDir(path)
        directory.require()
        with our_file(directory.config_path):
            config = CommunityConfig.model_validate_json(directory.config_json())
        if config.chain.token is not None:
            raise BadInput(field=OPTION, rule="only where a trial's own token is used")
        self._owner = directory.keys().wallet(OWNER)
        self._is_demo = directory.is_demo()

    def wallet(self, name: str) -> Wallet:
        """The key of a driver; in a demo, that which a browser has under the name."""
        if self._is_demo:
            return Wallet(demo_secret(name))
        return Wallet(keccak256(_PREFIX + self._owner.private_key + name.encode()))

    def fill(self, chain: Chain, market: Market, driver: Address, needed_micro: int) -> bool:
        """Makes tokens for a driver that has too few; whether it did.

        Raises:
            BadInput: the service's token is not this directory's.
            ChainUnavailable: the chain did not take it in time.
        """
        held_micro = settlement_token.TokenReader(chain, market.token).balance_micro_of(driver)
        if held_micro >= needed_micro:
            return False
        amount_micro = max(needed_micro, POCKET_MICRO) - held_micro
        data = settlement_token.mint(driver, amount_micro)
        try:
            gas = chain.estimate_gas(sender=self._owner.address, to=market.token, data=data)
        except ContractReverted as error:
            rule = "the service's token is not of this data directory: give its --data-dir"
            raise BadInput(field=OPTION, rule=rule) from error
        _wait(chain, self._send(chain, market.token, data, gas))
        return True

    def _send(self, chain: Chain, token: Address, data: bytes, gas: int) -> Hash32:
        for tries_left in reversed(range(MINT_TRIES)):
            signed = self._owner.sign_transaction(
                chain_id=chain.chain_id,
                nonce=chain.nonce(self._owner.address),
                to=token,
                data=data,
                gas=gas,
                fees=chain.fees(),
            )
            try:
                return chain.send_raw(signed.raw)
            except TransactionRefused as error:
                # The service signs with this key, too: it was quicker.
                if error.reason is not Refusal.NONCE_TOO_LOW or not tries_left:
                    raise
        raise AssertionError  # The last try returned or raised.


def _wait(chain: Chain, tx_hash: Hash32) -> None:
    until_s = time.monotonic() + MINED_WITHIN_S
    while (receipt := chain.receipt(tx_hash)) is None:
        if time.monotonic() > until_s:
            raise ChainUnavailable(rule=f"0x{tx_hash.hex()} is not mined")
        time.sleep(POLL_S)
    if not receipt.succeeded:
        raise ChainUnavailable(rule=f"0x{tx_hash.hex()} failed")
