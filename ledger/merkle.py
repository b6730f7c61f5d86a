"""Merkle trees: OpenZeppelin's standard tree for statements, a plain one for deltas.

The standard tree is the one that npm's `@openzeppelin/merkle-tree` builds: leaves sorted, laid out
from the end of an array in which node `i` has the children `2i + 1` and `2i + 2`; a pair is hashed
in sorted order, so a proof needs no directions.
"""

from collections.abc import Sequence

from ledger.keccak import keccak256
from ledger.units import Hash32


def hash_pair(left: bytes, right: bytes) -> Hash32:
    """Hash of two nodes of the standard tree, smaller one first."""
    return keccak256(left + right if left < right else right + left)


class StandardTree:
    """OpenZeppelin's standard tree over leaves that are hashed already."""

    __slots__ = ("_nodes", "_place_of")

    def __init__(self, leaves: Sequence[Hash32]) -> None:
        if not leaves:
            raise ValueError("a tree has at least one leaf")
        size = 2 * len(leaves) - 1
        nodes = [Hash32(b"")] * size
        order = sorted(range(len(leaves)), key=lambda index: (leaves[index], index))
        self._place_of = [0] * len(leaves)
        for rank, index in enumerate(order):
            nodes[size - 1 - rank] = leaves[index]
            self._place_of[index] = size - 1 - rank
        for place in range(size - 1 - len(leaves), -1, -1):
            nodes[place] = hash_pair(nodes[2 * place + 1], nodes[2 * place + 2])
        self._nodes = nodes

    @property
    def root(self) -> Hash32:
        """Root of the tree."""
        return self._nodes[0]

    def proof(self, index: int) -> tuple[Hash32, ...]:
        """Siblings from the leaf given as number `index` up to the root."""
        place = self._place_of[index]
        siblings = []
        while place > 0:
            siblings.append(self._nodes[place + 1 if place % 2 else place - 1])
            place = (place - 1) // 2
        return tuple(siblings)


def root_of_proof(leaf: Hash32, proof: Sequence[bytes]) -> Hash32:
    """Root that a leaf and its proof give in the standard tree."""
    node = leaf
    for sibling in proof:
        node = hash_pair(node, sibling)
    return node


def plain_root(leaves: Sequence[Hash32]) -> Hash32:
    """Root over leaves in their order; an odd node moves up unchanged (INTERFACES §5, deltas)."""
    level = list(leaves)
    while len(level) > 1:
        paired = [
            keccak256(level[place] + level[place + 1]) for place in range(0, len(level) - 1, 2)
        ]
        level = paired + level[len(paired) * 2 :]
    return level[0]
