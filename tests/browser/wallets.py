"""A browser wallet (EIP-6963) whose key is in this process: it signs for real what a page asks."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2
from eth_account import Account
from eth_account.messages import SignableMessage, encode_defunct, encode_typed_data

from ledger.keccak import keccak256

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

ANNOUNCE = """
(() => {
  const provider = {
    request: async (asked) => {
      const { result, error } = await globalThis.walletOfTheTest(asked);
      if (error) throw Object.assign(new Error(error.message), { code: error.code });
      return result;
    },
  };
  const info = Object.freeze({
    uuid: "350670db-19fa-4704-a166-e52e178b59d2",
    name: "Wallet of the test",
    icon: "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>",
    rdns: "example.wallet",
  });
  const announce = () => {
    const detail = Object.freeze({ info, provider });
    dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
  };
  addEventListener("eip6963:requestProvider", announce);
  announce();
})();
"""
REFUSED, UNKNOWN_METHOD, UNKNOWN_CHAIN = 4001, 4200, 4902


@dataclass
class BrowserWallet:
    """One account, at a chain that it can be told to leave."""

    url: str  # Of the service: its chain's node.
    secret: bytes
    chain_id: int
    known_chains: set[int] = field(default_factory=set)
    refuses: bool = False  # Its owner presses "reject".
    asked: list[str] = field(default_factory=list)
    typed: list[dict[str, Any]] = field(default_factory=list)  # What it signed,
    digests: list[str] = field(default_factory=list)  # and its digests.

    @property
    def address(self) -> str:
        """In its EIP-55 spelling."""
        return str(Account.from_key(self.secret).address)

    def live_in(self, context: "BrowserContext") -> None:
        """Announces itself to every page of a browser."""
        context.expose_function("walletOfTheTest", self._answer)
        context.add_init_script(ANNOUNCE)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        method, params = asked["method"], asked.get("params", [])
        self.asked.append(method)
        known: dict[str, Callable[[], dict[str, Any]]] = {
            "eth_requestAccounts": lambda: {"result": [self.address.lower()]},
            "eth_accounts": lambda: {"result": [self.address.lower()]},
            "eth_chainId": lambda: {"result": hex(self.chain_id)},
            "personal_sign": lambda: self._sign(encode_defunct(hexstr=params[0])),
            "eth_signTypedData_v4": lambda: self._sign_typed(json.loads(params[1])),
            "wallet_switchEthereumChain": lambda: self._switch(params[0], is_told=False),
            "wallet_addEthereumChain": lambda: self._switch(params[0], is_told=True),
            "eth_call": lambda: self._node(method, params),
        }
        if method not in known:
            return _error(UNKNOWN_METHOD, f"no {method}")
        return known[method]()

    def _sign_typed(self, document: dict[str, Any]) -> dict[str, Any]:
        message = encode_typed_data(full_message=document)
        signed = self._sign(message)
        if "result" in signed:
            self.typed.append(document)
            self.digests.append("0x" + _digest(message))
        return signed

    def _sign(self, message: SignableMessage) -> dict[str, Any]:
        if self.refuses:
            return _error(REFUSED, "User rejected the request.")
        signed = Account.sign_message(message, self.secret)
        return {"result": "0x" + bytes(signed.signature).hex()}

    def _node(self, method: str, params: list[Any]) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer: dict[str, Any] = httpx2.post(self.url + "/rpc", json=body).json()
        return answer

    def _switch(self, chain: dict[str, Any], *, is_told: bool) -> dict[str, Any]:
        chain_id = int(chain["chainId"], 16)
        if is_told:
            self.known_chains.add(chain_id)
        if chain_id not in self.known_chains:
            return _error(UNKNOWN_CHAIN, "Unrecognized chain")
        self.chain_id = chain_id
        return {"result": None}


def wallet_named(name: str, url: str, chain_id: int) -> BrowserWallet:
    """A wallet whose key hangs on a name only."""
    secret = keccak256(b"a browser wallet of the tests: " + name.encode())
    return BrowserWallet(url=url, secret=secret, chain_id=chain_id, known_chains={chain_id})


def _digest(message: SignableMessage) -> str:
    whole = b"\x19" + message.version + message.header + message.body
    return keccak256(whole).hex()


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
