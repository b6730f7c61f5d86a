// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The plain way to settle: one storage slot a member, one checked loop. Only to measure.
/// @notice It refuses what any settlement must: strangers, a period twice, money from nowhere, a
/// balance below zero. It has no limits, caps, runs, withdrawals or disputes.
contract NaiveMarket {
    error NaiveMarket_NotOperator(address caller);
    error NaiveMarket_AlreadySettled(uint64 periodStart);
    error NaiveMarket_Unbalanced(int256 sumNano);
    error NaiveMarket_Overdrawn(uint256 account, int256 balanceNano);

    event Settled(uint64 indexed periodStart, bytes32 statementsRoot);

    address public immutable OPERATOR;
    mapping(uint256 account => uint256 nano) public balanceOf;
    mapping(uint64 periodStart => bytes32 root) public statementsRootOf;

    constructor() {
        OPERATOR = msg.sender;
    }

    /// @notice Gives accounts something to settle with.
    function credit(uint256 first, uint256 count, uint256 amountNano) external {
        if (msg.sender != OPERATOR) revert NaiveMarket_NotOperator(msg.sender);
        for (uint256 account = first; account < first + count; account++) {
            balanceOf[account] += amountNano;
        }
    }

    /// @notice Applies one period's deltas, dense from account 0.
    function settle(uint64 periodStart, bytes32 statementsRoot, int256[] calldata deltasNano)
        external
    {
        if (msg.sender != OPERATOR) revert NaiveMarket_NotOperator(msg.sender);
        if (statementsRootOf[periodStart] != 0) revert NaiveMarket_AlreadySettled(periodStart);
        statementsRootOf[periodStart] = statementsRoot;
        int256 sumNano = 0;
        for (uint256 account = 0; account < deltasNano.length; account++) {
            int256 balanceNano = int256(balanceOf[account]) + deltasNano[account];
            if (balanceNano < 0) revert NaiveMarket_Overdrawn(account, balanceNano);
            balanceOf[account] = uint256(balanceNano);
            sumNano += deltasNano[account];
        }
        if (sumNano != 0) revert NaiveMarket_Unbalanced(sumNano);
        emit Settled(periodStart, statementsRoot);
    }
}
