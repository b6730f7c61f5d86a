"""People of a demo, signed in as they would be: their published keys sign what the page asks."""

from api.jobs.opening import system_now
from api.keys import demo_secret
from ledger.chain.wallet import Wallet
from ledger.keccak import checksum_address, personal_digest
from ledger.units import to_rfc3339
from tests.browser.looking import Visitor


def wallet_of(name: str) -> Wallet:
    """The wallet that a demo publishes under a name."""
    return Wallet(demo_secret(name))


def sign_in(visitor: Visitor, name: str) -> Wallet:
    """Signs somebody in by the API; the visitor's cookie is then theirs."""
    wallet, ask = wallet_of(name), visitor.context.request
    nonce = ask.post(visitor.url + "/v1/auth/nonce", data={}).json()["nonce"]
    market = ask.get(visitor.url + "/v1/market").json()
    host = visitor.url.removeprefix("http://")
    message = (
        f"{host} wants you to sign in with your Ethereum account:\n"
        f"{checksum_address(wallet.address)}\n\nLook at pages.\n\nURI: {visitor.url}/\n"
        f"Version: 1\nChain ID: {market['chain_id']}\nNonce: {nonce}\n"
        f"Issued At: {to_rfc3339(system_now())}"
    )
    signature = "0x" + wallet.sign_digest(personal_digest(message)).hex()
    body = {"message": message, "signature": signature, "cookie": True}
    answer = ask.post(visitor.url + "/v1/auth/login", data=body)
    assert answer.ok, answer.text()
    return wallet
