// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IChargingEscrow} from "../interfaces/IChargingEscrow.sol";

/// @title An ERC-20 transfer that may fail without making its caller fail.
///
/// @dev ## Why nobody can abuse it
///
/// *1. Neither token nor recipient stops the caller.* The call gets at most `GAS`; whatever it does with
/// it, a revert included, is only `false` here. At most 32 bytes of its answer are copied, so an
/// endless answer costs the callee alone.
///
/// *2. The caller does not make it fail.* A call gets at most 63/64 of the gas that is left, so with too
/// little the transfer would run out of gas and count as refused. `GAS_NEEDED` is asked for before:
/// 101,587 - 101,587 / 64 = 100,000, and the rest is well above what happens between the question and
/// the call: a few hundred gas, and 2,600 where the token was not touched before. So the call gets
/// `GAS` in full, or the whole transaction reverts.
///
/// *3. `true` means what it means everywhere.* As OpenZeppelin's SafeERC20: the call succeeded and
/// returned 1, or nothing although there is code. A token that says true and moves nothing, or says
/// false and moves, is not money that anybody can hold in escrow: the first cheats every holder alike,
/// the second is refused when a deposit comes, because that transfer says false too.
library Push {
    /* CONSTANTS */

    uint256 internal constant GAS = 100_000;
    uint256 internal constant GAS_NEEDED = 110_000;

    /* FUNCTIONS */

    /// @notice Transfers, or says that it could not be done.
    /// @param amountMicro In base units of the token.
    function tryTransfer(IERC20 token, address to, uint256 amountMicro)
        internal
        returns (bool done)
    {
        if (gasleft() < GAS_NEEDED) {
            revert IChargingEscrow.ChargingEscrow_NotEnoughGas(GAS_NEEDED, gasleft());
        }
        bytes4 selector = IERC20.transfer.selector;
        assembly ("memory-safe") {
            // Selector, recipient and amount from 0 to 0x44; this covers the free memory pointer,
            // which is put back, and leaves the zero slot at 0x60 alone.
            let free := mload(0x40)
            mstore(0x00, selector)
            mstore(0x04, shr(96, shl(96, to)))
            mstore(0x24, amountMicro)
            done := call(GAS, token, 0, 0x00, 0x44, 0x00, 0x20)
            switch returndatasize()
            case 0 { done := and(done, gt(extcodesize(token), 0)) }
            default { done := and(and(done, gt(returndatasize(), 31)), eq(mload(0x00), 1)) }
            mstore(0x40, free)
        }
    }
}
