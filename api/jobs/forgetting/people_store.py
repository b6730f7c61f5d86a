"""Erases what tells who somebody is from the tables of this layer."""

from sqlalchemy import Connection, delete, select, update
from sqlmodel import SQLModel

# Each import makes its tables known.
import api.auth_store
import api.idempotency_store
import api.jobs.people.pairing_store  # noqa: F401
from ledger.keccak import checksum_address
from ledger.units import AccountId, Address

_TOKEN = SQLModel.metadata.tables["auth_token"]
_ANSWER = SQLModel.metadata.tables["idempotent_answer"]
_PAIRING = SQLModel.metadata.tables["pairing"]


def sign_out(connection: Connection, address: Address) -> int:
    """Ends all of an address's sign-ins, and forgets what it, or others about it, were answered."""
    about = _ANSWER.c.body.contains(checksum_address(address))  # As whoever decided about it was.
    connection.execute(delete(_ANSWER).where((_ANSWER.c.caller == address) | about))
    return connection.execute(delete(_TOKEN).where(_TOKEN.c.address == address)).rowcount


def paired_by(connection: Connection, account: AccountId) -> list[bytes]:
    """What an account asked to be its meters, whatever became of it."""
    query = select(_PAIRING.c.meter_id).where(_PAIRING.c.account == account)
    return [bytes(meter_id) for meter_id in connection.execute(query).scalars()]


def relabel_pairing(
    connection: Connection, account: AccountId, meter_id: bytes, label: str
) -> None:
    """Gives what an account called a meter, when it paired it, another name, and no reasons."""
    own = (_PAIRING.c.account == account) & (_PAIRING.c.meter_id == meter_id)
    connection.execute(update(_PAIRING).where(own).values(label=label, reason=""))
    taken = own & _PAIRING.c.taken_label.is_not(None)
    connection.execute(update(_PAIRING).where(taken).values(taken_label=label))
