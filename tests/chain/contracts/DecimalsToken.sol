// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title As much of a token as says that it has eighteen decimals.
contract DecimalsToken {
    uint8 public constant decimals = 18;
}
