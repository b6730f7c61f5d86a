"""HTTP Basic of chargers (OCPP-J 1.6 §6.2.2, OCPP 2.0.1 part 2 A00, security profiles 1 and 2)."""

import binascii
import re
from base64 import b64decode
from typing import Final

from charging.points import PointDoor

# OCPP 2.0.1 part 4 §3.1.1: at most 48 characters, an identifierString.
CHARGE_POINT_ID: Final = re.compile(r"[A-Za-z0-9*\-_=:+|@.]{1,48}")
BASIC: Final = "basic "


async def may_enter(
    door: PointDoor,
    charge_point_id: str,
    *,
    authorization: str | None,
    certificate_name: str | None,
) -> bool:
    """Whether whoever stands there may be the charger of this id.

    Args:
        authorization: the HTTP header, None without one.
        certificate_name: common name of the verified client certificate, None without one.
    """
    if CHARGE_POINT_ID.fullmatch(charge_point_id) is None:
        return False
    password = None
    if authorization is not None:
        password = password_of(authorization, charge_point_id)
        if password is None:  # Another charger's name, or nothing that can be read.
            return False
    return await door.may_connect(
        charge_point_id, password=password, certificate_name=certificate_name
    )


def password_of(authorization: str, charge_point_id: str) -> bytes | None:
    """The password of HTTP Basic (RFC 7617) if the user name is the charger's id, else None.

    It is bytes: chargers of the 1.6 security extensions send binary keys.
    """
    if authorization[: len(BASIC)].lower() != BASIC:
        return None
    try:
        credentials = b64decode(authorization[len(BASIC) :].strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    name = charge_point_id.encode() + b":"
    return credentials[len(name) :] if credentials.startswith(name) else None
