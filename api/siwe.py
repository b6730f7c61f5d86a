"""Sign-In with Ethereum: the message of EIP-4361, read strictly by its ABNF.

Text that two readers could take for two things signs nobody in: no line more, no line less, no
other order, and an address in its EIP-55 spelling.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from api.errors import BadInput
from ledger.keccak import checksum_address
from ledger.units import Address

VERSION: Final = "1"
_PCHAR = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"  # RFC 3986, section 3.3.
_HEADER = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.\-]*)://)?"
    r"((?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)"
    r" wants you to sign in with your Ethereum account:"
)
_ADDRESS = re.compile(r"0x[0-9A-Fa-f]{40}")
_STATEMENT = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;= ]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:(?:" + _PCHAR + r"|[/?#\[\]])+")
_CHAIN_ID = re.compile(r"[0-9]{1,20}")
_NONCE = re.compile(r"[A-Za-z0-9]{8,100}")
_DATE_TIME = re.compile(  # RFC 3339, section 5.6.
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+\-][0-9]{2}:[0-9]{2})"
)
_REQUEST_ID = re.compile(_PCHAR + "*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInMessage:
    """What somebody signs to say who they are, where, and when."""

    scheme: str | None
    domain: str  # Host and port that ask, as the wallet saw them.
    address: Address
    statement: str | None
    uri: str
    chain_id: int
    nonce: str
    issued_at: datetime
    expires_at: datetime | None
    not_before_at: datetime | None
    request_id: str | None
    resources: tuple[str, ...]


class _Lines:
    """The message's lines, taken one after the other."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._at = 0

    def refuse(self, rule: str) -> BadInput:
        """What is wrong with the line that comes next."""
        return BadInput(field="message", rule=f"line {self._at + 1}: {rule}")

    def peek(self) -> str | None:
        """The next line, None at the end."""
        return self._lines[self._at] if self._at < len(self._lines) else None

    def take(self, pattern: re.Pattern[str], rule: str, *, tag: str = "") -> re.Match[str]:
        """The next line, behind its tag."""
        line = self.peek()
        found = None
        if line is not None and line.startswith(tag):
            found = pattern.fullmatch(line[len(tag) :])
        if found is None:
            raise self.refuse(f"must be {tag}{rule}")
        self._at += 1
        return found

    def tagged(self, tag: str, pattern: re.Pattern[str], rule: str) -> str:
        """What stands behind a tag."""
        return self.take(pattern, rule, tag=tag)[0]

    def optional(self, tag: str, pattern: re.Pattern[str], rule: str) -> str | None:
        """What stands behind a tag that may be left out."""
        line = self.peek()
        if line is None or not line.startswith(tag):
            return None
        return self.tagged(tag, pattern, rule)

    def blank(self) -> None:
        """An empty line."""
        if self.peek() != "":
            raise self.refuse("must be empty")
        self._at += 1

    def instant(self, tag: str) -> datetime:
        """An RFC 3339 time."""
        text = self.tagged(tag, _DATE_TIME, "an RFC 3339 time")
        return self._instant(text)

    def optional_instant(self, tag: str) -> datetime | None:
        """An RFC 3339 time that may be left out."""
        text = self.optional(tag, _DATE_TIME, "an RFC 3339 time")
        return None if text is None else self._instant(text)

    def _instant(self, text: str) -> datetime:
        try:
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            self._at -= 1
            raise self.refuse("no such time") from error


def parse_message(text: str) -> SignInMessage:
    """Reads a message.

    Raises:
        BadInput: naming the line that is not as EIP-4361 has it.
    """
    lines = _Lines(text)
    header = lines.take(_HEADER, "DOMAIN wants you to sign in with your Ethereum account:")
    address = _address(lines)
    lines.blank()
    statement = None
    if lines.peek() != "":
        statement = lines.take(_STATEMENT, "a statement, or empty")[0]
    lines.blank()
    uri = lines.tagged("URI: ", _URI, "an RFC 3986 URI")
    lines.tagged("Version: ", re.compile(VERSION), VERSION)
    chain_id = int(lines.tagged("Chain ID: ", _CHAIN_ID, "an EIP-155 chain id"))
    nonce = lines.tagged("Nonce: ", _NONCE, "at least 8 letters and digits")
    issued_at = lines.instant("Issued At: ")
    expires_at = lines.optional_instant("Expiration Time: ")
    not_before_at = lines.optional_instant("Not Before: ")
    request_id = lines.optional("Request ID: ", _REQUEST_ID, "characters of a path")
    resources = _resources(lines)
    if lines.peek() is not None:
        raise lines.refuse("is one too many, or in the wrong place")
    return SignInMessage(
        scheme=header[1],
        domain=header[2],
        address=address,
        statement=statement,
        uri=uri,
        chain_id=chain_id,
        nonce=nonce,
        issued_at=issued_at,
        expires_at=expires_at,
        not_before_at=not_before_at,
        request_id=request_id,
        resources=resources,
    )


def _address(lines: _Lines) -> Address:
    refusal = lines.refuse("must be an address in its EIP-55 spelling")
    text = lines.take(_ADDRESS, "an address in its EIP-55 spelling")[0]
    address = Address(bytes.fromhex(text[2:]))
    if checksum_address(address) != text:
        raise refusal
    return address


def _resources(lines: _Lines) -> tuple[str, ...]:
    if lines.peek() != "Resources:":
        return ()
    lines.tagged("Resources:", re.compile(""), "")
    found = []
    while lines.peek() is not None:
        found.append(lines.tagged("- ", _URI, "an RFC 3986 URI"))
    return tuple(found)
