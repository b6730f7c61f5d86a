"""Money for a demo's people: who is simulated never runs out of it."""

import time
from typing import Final

from api.jobs.community import Community
from api.jobs.create import account_key
from ledger.chain import market_calls
from ledger.chain.settlement_token import TokenReader, mint
from ledger.chain.wallet import Wallet
from ledger.units import (
    GRID_OPERATOR,
    MICRO_PER_TOKEN,
    NANO_PER_MICRO,
    SUPPLIER,
    Address,
    to_unix_s,
)

HOME_MICRO: Final = 5 * MICRO_PER_TOKEN  # A home that has less pays in; some days of its import.
BUSINESS_MICRO: Final = 100 * MICRO_PER_TOKEN  # The same of the supplier and of chargers' hosts.
TIMES: Final = 4  # So much of it is paid in.
PERMIT_S: Final = 3_600  # Real seconds.


class Purse:
    """Makes tokens and pays deposits in. Its methods wait for the chain: call them in a thread."""

    def __init__(self, community: Community) -> None:
        self._community = community
        self._worker = community.beside(pause=time.sleep)  # With an outbox of its own.
        hosts = {section.host for section in community.config.chargers}
        self._businesses = {SUPPLIER, *hosts}

    def look(self) -> list[int]:
        """Pays in for every account that has little left, and says for which."""
        community, history = self._community, self._community.refresh()
        now_s, delay_s = community.now_s(), community.rules.withdrawal_delay_s
        poor = []
        for account in range(history.account_count):
            low_micro = BUSINESS_MICRO if account in self._businesses else HOME_MICRO
            left_nano = history.available_nano(account, at_s=now_s, withdrawal_delay_s=delay_s)
            is_ours = account != GRID_OPERATOR and account_key(account) in community.keys
            if is_ours and left_nano < low_micro * NANO_PER_MICRO:
                self._pay_in(account, TIMES * low_micro)
                poor.append(account)
        return poor

    def fill(self, owner: Address, amount_micro: int) -> None:
        """Sees to it that a wallet holds an amount."""
        community, token = self._community, self._token
        if token.balance_micro_of(owner) >= amount_micro:
            return
        key = f"replay:mint:{owner.hex()}:{community.chain.head().number}"
        data = mint(owner, amount_micro)
        intent = community.intent(key, data, to=community.contracts.token, role="owner")
        self._worker.execute([intent])

    def _pay_in(self, account: int, amount_micro: int) -> None:
        community, token = self._community, self._token
        wallet: Wallet = community.keys.wallet(account_key(account))
        self.fill(wallet.address, amount_micro)
        nonce = token.permit_nonce_of(wallet.address)
        clock, market = community.chain_clock, community.contracts.market
        deadline_s = to_unix_s(clock.now()) + PERMIT_S * clock.speed
        digest = token.next_permit_digest(
            wallet.address, market, amount_micro=amount_micro, deadline_s=deadline_s
        )
        data = market_calls.deposit_with_permit(
            account=account,
            payer=wallet.address,
            amount_micro=amount_micro,
            nonce=nonce,
            deadline_s=deadline_s,
            signature=wallet.sign_digest(digest),
        )
        key = f"replay:deposit:{account}:{nonce}:{deadline_s}"
        self._worker.execute([community.intent(key, data, to=market)])

    @property
    def _token(self) -> TokenReader:
        return TokenReader(self._community.chain, self._community.contracts.token)
