// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DeltaWords} from "../../contracts/libraries/DeltaWords.sol";
import {LaneBalances} from "../../contracts/libraries/LaneBalances.sol";
import {ILanes} from "./ILanes.sol";

/// @notice The two libraries behind external functions: calldata and reverts as in the market.
contract Lanes is ILanes {
    using LaneBalances for uint256[2048];

    uint256[2048] private _words;

    function applyRun(uint256[] calldata deltas, uint256 memberCapNano, uint256 supplierCapNano)
        external
    {
        _words.applyRun(deltas, memberCapNano, supplierCapNano);
    }

    function credit(uint256 account, uint256 amountNano) external {
        _words.credit(account, amountNano);
    }

    function debit(uint256 account, uint256 amountNano) external {
        _words.debit(account, amountNano);
    }

    function setWord(uint256 i, uint256 word_) external {
        _words[i] = word_;
    }

    function word(uint256 i) external view returns (uint256) {
        return _words[i];
    }

    function get(uint256 account) external view returns (uint256) {
        return _words.get(account);
    }

    function lane(uint256 word_, uint256 position) external pure returns (int256) {
        return DeltaWords.lane(word_, position);
    }

    function requireShape(uint256[] calldata deltas, uint256 accounts) external pure {
        DeltaWords.requireShape(deltas, accounts);
    }

    function root(uint256[] calldata deltas) external pure returns (bytes32) {
        return DeltaWords.root(deltas);
    }
}
