"""The 32-byte words that statements and settlements are hashed from (INTERFACES §5).

Everything here mirrors what the contract computes on calldata; tests compare the two.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.errors import OutOfRange
from ledger.keccak import keccak256
from ledger.merkle import plain_root
from ledger.units import Hash32

LANES = 4
LANE_BITS = 64
LANE_MASK = 2**LANE_BITS - 1
LANE_SIGN = 2 ** (LANE_BITS - 1)
WORD_MODULUS = 2**256
CHUNK_WORDS = 8
ESTIMATED_BIT = 1
UNCOVERED_BIT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """One account in one window, in Wh."""

    import_wh: int
    export_wh: int
    bought_wh: int = 0
    sold_wh: int = 0
    estimated: bool = False
    uncovered: bool = False

    @property
    def word(self) -> int:
        """`flags<<248 | import<<192 | export<<128 | bought<<64 | sold`."""
        flags = self.estimated * ESTIMATED_BIT | self.uncovered * UNCOVERED_BIT
        return (
            flags << 248
            | self.import_wh << 192
            | self.export_wh << 128
            | self.bought_wh << 64
            | self.sold_wh
        )

    @classmethod
    def of_word(cls, word: int) -> "StatementRow":
        """The row that a word stands for."""
        flags = word >> 248
        if flags > ESTIMATED_BIT | UNCOVERED_BIT:
            raise OutOfRange(field="flags of a row", value=flags, value_min=0, value_max=3)
        return cls(
            import_wh=word >> 192 & 2**56 - 1,
            export_wh=word >> 128 & LANE_MASK,
            bought_wh=word >> 64 & LANE_MASK,
            sold_wh=word & LANE_MASK,
            estimated=bool(flags & ESTIMATED_BIT),
            uncovered=bool(flags & UNCOVERED_BIT),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPrice:
    """Prices of one window in micro-tokens per kWh."""

    local_per_kwh: int
    local_fee_per_kwh: int
    grid_import_per_kwh: int
    grid_export_per_kwh: int

    @property
    def word(self) -> int:
        """`local<<96 | fee<<64 | gridImport<<32 | gridExport`."""
        return (
            self.local_per_kwh << 96
            | self.local_fee_per_kwh << 64
            | self.grid_import_per_kwh << 32
            | self.grid_export_per_kwh
        )

    @classmethod
    def of_word(cls, word: int) -> "WindowPrice":
        """The prices that a word stands for."""
        mask = 2**32 - 1
        return cls(
            local_per_kwh=word >> 96,
            local_fee_per_kwh=word >> 64 & mask,
            grid_import_per_kwh=word >> 32 & mask,
            grid_export_per_kwh=word & mask,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTotals:
    """The community's sums in one window, in Wh."""

    import_wh: int
    export_wh: int
    traded_wh: int
    uncovered_import_wh: int
    eligible_import_wh: int
    eligible_export_wh: int

    @property
    def words(self) -> tuple[int, int]:
        """`import<<64 | export` and `traded<<192 | uncovered<<128 | eligible…<<64 | eligible…`."""
        return (
            self.import_wh << 64 | self.export_wh,
            self.traded_wh << 192
            | self.uncovered_import_wh << 128
            | self.eligible_import_wh << 64
            | self.eligible_export_wh,
        )

    @classmethod
    def of_words(cls, first: int, second: int) -> "WindowTotals":
        """The sums that two words stand for."""
        return cls(
            import_wh=first >> 64,
            export_wh=first & LANE_MASK,
            traded_wh=second >> 192,
            uncovered_import_wh=second >> 128 & LANE_MASK,
            eligible_import_wh=second >> 64 & LANE_MASK,
            eligible_export_wh=second & LANE_MASK,
        )


def pack(words: Iterable[int]) -> bytes:
    """Words as they lie in calldata."""
    return b"".join(word.to_bytes(32) for word in words)


def unpack(data: bytes) -> list[int]:
    """Words of a byte string whose length is a multiple of 32."""
    return [int.from_bytes(data[place : place + 32]) for place in range(0, len(data), 32)]


def rows_hash(rows: Iterable[StatementRow]) -> Hash32:
    """keccak256 of one word a window."""
    return keccak256(pack(row.word for row in rows))


def prices_hash(prices: Iterable[WindowPrice]) -> Hash32:
    """keccak256 of one word a window."""
    return keccak256(pack(price.word for price in prices))


def totals_hash(totals: Iterable[WindowTotals], totals_salt: Hash32) -> Hash32:
    """keccak256 of two words a window, then the salt."""
    return keccak256(pack(word for total in totals for word in total.words) + totals_salt)


def windows_hash(prices: Hash32, totals: Hash32) -> Hash32:
    """keccak256 of the prices' hash and the totals' hash."""
    return keccak256(prices + totals)


def statement_leaf(
    *, account: int, period_start_s: int, run: int, rows: Hash32, amount_nano: int, salt: Hash32
) -> Hash32:
    """OpenZeppelin standard leaf of `(uint32, uint64, uint32, bytes32, int64, bytes32)`."""
    encoded = (
        account.to_bytes(32)
        + period_start_s.to_bytes(32)
        + run.to_bytes(32)
        + rows
        + (amount_nano % WORD_MODULUS).to_bytes(32)
        + salt
    )
    return keccak256(keccak256(encoded))


def commitment(
    *, statements_root: Hash32, windows: Hash32, deltas_root: Hash32, run: int, cutoff_at_s: int
) -> Hash32:
    """What the contract stores for a period and run."""
    return keccak256(
        statements_root + windows + deltas_root + run.to_bytes(32) + cutoff_at_s.to_bytes(32)
    )


def delta_words(deltas_nano: Sequence[int]) -> list[int]:
    """Four signed deltas a word: `Σ_k delta[4i+k] * 2^(64k) mod 2^256`, dense from account 0."""
    words = []
    for place in range(0, len(deltas_nano), LANES):
        lanes = deltas_nano[place : place + LANES]
        total = sum(delta << (LANE_BITS * lane) for lane, delta in enumerate(lanes))
        words.append(total % WORD_MODULUS)
    return words


def deltas_of_words(words: Sequence[int], count: int) -> list[int]:
    """The first `count` signed deltas of delta words; each lies in `[-2^63, 2^63)`."""
    deltas = []
    for word in words:
        rest = word
        for _ in range(LANES):
            delta = ((rest & LANE_MASK) ^ LANE_SIGN) - LANE_SIGN
            deltas.append(delta)
            rest = (rest - delta) >> LANE_BITS
    return deltas[:count]


def balances_of_words(words: Sequence[int], count: int) -> list[int]:
    """The first `count` unsigned lanes of balance words."""
    lanes = [word >> (LANE_BITS * lane) & LANE_MASK for word in words for lane in range(LANES)]
    return lanes[:count]


def deltas_root(words: Sequence[int]) -> Hash32:
    """Merkle root over chunks of 8 words, the last one zero-padded."""
    chunks = []
    for place in range(0, len(words), CHUNK_WORDS):
        chunk = pack(words[place : place + CHUNK_WORDS])
        chunks.append(keccak256(chunk.ljust(32 * CHUNK_WORDS, b"\0")))
    return plain_root(chunks)
