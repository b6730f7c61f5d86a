// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The same in the plainest words: what the libraries have to equal. One number an account.
library Plain {
    uint256 internal constant BALANCE_NANO_MAX = 2 ** 51 - 1;

    /// @notice INTERFACES §5: word i is the sum of delta[4i+k] * 2^(64k), modulo 2^256.
    function encode(int256[] memory deltasNano) internal pure returns (uint256[] memory words) {
        words = new uint256[]((deltasNano.length + 3) / 4);
        for (uint256 a = 0; a < deltasNano.length; ++a) {
            unchecked {
                words[a / 4] += uint256(deltasNano[a]) * 2 ** (64 * (a % 4));
            }
        }
    }

    /// @notice The balance in one lane of a balance word: four fields side by side.
    function balance(uint256 word, uint256 position) internal pure returns (uint256) {
        return (word / 2 ** (64 * position)) % 2 ** 64;
    }

    /// @notice INTERFACES §5: chunks of 8 words, zero-padded; pairs; an odd node moves up unchanged.
    function root(uint256[] memory words) internal pure returns (bytes32) {
        bytes32[] memory nodes = new bytes32[]((words.length + 7) / 8);
        for (uint256 i = 0; i < nodes.length; ++i) {
            uint256[8] memory chunk;
            for (uint256 j = 0; j < 8 && 8 * i + j < words.length; ++j) {
                chunk[j] = words[8 * i + j];
            }
            nodes[i] = keccak256(abi.encode(chunk));
        }
        while (nodes.length > 1) {
            bytes32[] memory above = new bytes32[]((nodes.length + 1) / 2);
            for (uint256 i = 0; i < above.length; ++i) {
                above[i] = 2 * i + 1 < nodes.length
                    ? keccak256(abi.encode(nodes[2 * i], nodes[2 * i + 1]))
                    : nodes[2 * i];
            }
            nodes = above;
        }
        return nodes[0];
    }
}
