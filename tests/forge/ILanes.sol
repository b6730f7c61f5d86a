// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice {Lanes} as its tests see it: they deploy it by name and do not compile it again.
interface ILanes {
    function applyRun(uint256[] calldata deltas, uint256 memberCapNano, uint256 supplierCapNano)
        external;
    function credit(uint256 account, uint256 amountNano) external;
    function debit(uint256 account, uint256 amountNano) external;
    function setWord(uint256 i, uint256 word) external;
    function word(uint256 i) external view returns (uint256);
    function get(uint256 account) external view returns (uint256);
    function lane(uint256 word, uint256 position) external pure returns (int256);
    function requireShape(uint256[] calldata deltas, uint256 accounts) external pure;
    function root(uint256[] calldata deltas) external pure returns (bytes32);
}
