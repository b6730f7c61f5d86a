// Reads leaves and our proofs on standard input; prints what @openzeppelin/merkle-tree makes of them.
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");
const { readFileSync } = require("node:fs");

const { types, leaves, root, proofs } = JSON.parse(readFileSync(0, "utf8"));
const tree = StandardMerkleTree.of(leaves, types);
tree.validate();

console.log(
  JSON.stringify({
    root: tree.root,
    nodes: tree.dump().tree,
    hashes: leaves.map((leaf) => tree.leafHash(leaf)),
    proofs: leaves.map((_, place) => tree.getProof(place)),
    accepted: leaves.map((leaf, place) =>
      StandardMerkleTree.verify(root, types, leaf, proofs[place]),
    ),
  }),
);
