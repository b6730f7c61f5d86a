// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../interfaces/IEnergyMarket.sol";

/// @title Whose account is whose, and how an account moves to another address.
library AccountBook {
    /* TYPES */

    struct Book {
        mapping(uint32 account => address) addressOf; // zero: not enrolled
        mapping(uint32 account => address) recoveryOf;
        mapping(uint32 account => IEnergyMarket.Move) moveOf; // `to` zero: none under way
    }

    /* FUNCTIONS */

    /// @notice The account's address; refuses accounts that are not enrolled.
    function known(Book storage book, uint32 account) internal view returns (address owner) {
        owner = book.addressOf[account];
        if (owner == address(0)) revert IEnergyMarket.EnergyMarket_UnknownAccount(account);
    }

    function requireAccountsAddress(Book storage book, uint32 account) internal view {
        if (msg.sender != known(book, account)) {
            revert IEnergyMarket.EnergyMarket_NotAccountsAddress(account, msg.sender);
        }
    }

    function nameRecovery(Book storage book, uint32 account, address recovery) internal {
        requireAccountsAddress(book, account);
        book.recoveryOf[account] = recovery;
        emit IEnergyMarket.RecoveryNamed(account, recovery);
    }

    function requestMove(Book storage book, uint32 account, address to) internal {
        IEnergyMarket.Move memory current = book.moveOf[account];
        bool byRecovery = msg.sender != known(book, account);

        // Check.
        if (byRecovery && msg.sender != book.recoveryOf[account]) {
            revert IEnergyMarket.EnergyMarket_NotAccountsAddress(account, msg.sender);
        }
        if (byRecovery && current.to != address(0) && !current.byRecovery) {
            revert IEnergyMarket.EnergyMarket_OwnMoveUnderWay(account);
        }
        if (to == address(0)) revert IEnergyMarket.EnergyMarket_ZeroAddress();

        // Effects.
        book.moveOf[account] = IEnergyMarket.Move({
            to: to, requestedAt: uint64(block.timestamp), byRecovery: byRecovery
        });
        emit IEnergyMarket.MoveRequested(account, to, byRecovery);
    }

    function cancelMove(Book storage book, uint32 account) internal {
        requireAccountsAddress(book, account);
        _moveUnderWay(book, account);
        delete book.moveOf[account];
        emit IEnergyMarket.MoveCancelled(account);
    }

    function executeMove(Book storage book, uint32 account, uint256 delayS) internal {
        IEnergyMarket.Move memory move = _moveUnderWay(book, account);

        // Check.
        uint256 earliestAt = move.requestedAt + delayS;
        if (block.timestamp < earliestAt) revert IEnergyMarket.EnergyMarket_TooEarly(earliestAt);

        // Effects.
        address from = book.addressOf[account];
        book.addressOf[account] = move.to;
        delete book.recoveryOf[account];
        delete book.moveOf[account];
        emit IEnergyMarket.AccountMoved(account, from, move.to);
    }

    /* INTERNAL */

    function _moveUnderWay(Book storage book, uint32 account)
        private
        view
        returns (IEnergyMarket.Move memory move)
    {
        move = book.moveOf[account];
        if (move.to == address(0)) revert IEnergyMarket.EnergyMarket_NoMove(account);
    }
}
