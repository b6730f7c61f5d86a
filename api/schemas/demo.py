"""Models of what only a demo has."""

from typing import Self

from pydantic import Field

from api.jobs.people.faucet import DemoWallet, WalletKind
from api.schemas.fields import AddressIn, Hex, Wire, address_text


class TokensIn(Wire):
    """Whose wallet is to be filled; without an address, that of who is signed in."""

    address: AddressIn | None = None


class DemoWalletOut(Wire):
    """A wallet whose key is `keccak256("wattledger demo wallet: " + name)`, for everybody."""

    name: str = Field(examples=["home-2"])
    address: Hex
    kind: WalletKind
    account: int | None
    title: str

    @classmethod
    def of(cls, wallet: DemoWallet) -> Self:
        """From a wallet."""
        return cls(
            name=wallet.name,
            address=address_text(wallet.address),
            kind=wallet.kind,
            account=wallet.account,
            title=wallet.title,
        )


class DemoWalletsOut(Wire):
    """All wallets that a demo is played with; any other name is a driver's, too."""

    items: list[DemoWalletOut]
