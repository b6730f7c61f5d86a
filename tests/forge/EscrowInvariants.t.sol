// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EscrowHandler} from "./EscrowHandler.sol";
import {Forge} from "./Forge.sol";

/// @notice What holds whatever anybody does.
contract EscrowInvariants is Forge {
    EscrowHandler private handler;

    function setUp() public {
        handler = new EscrowHandler();
        for (uint256 i = 0; i < 3; ++i) {
            handler.register(i, true);
        }
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_no_token_unit_is_lost_or_made_and_every_owner_is_known() public view {
        handler.requireSame();
    }

    function afterInvariant() public {
        handler.requireAllEnd();
    }

    /// @notice The walk is worth something: in a long one, everything that may happen does.
    function test_a_long_walk_sees_everything_happen_and_everything_can_end() public {
        for (uint256 i = 0; i < 1_500; ++i) {
            _step(uint256(keccak256(abi.encode(i))));
            handler.requireSame();
            if (i % 10 == 0) handler.requireAllEnd();
        }
        for (uint256 kind = 0; kind < 11; ++kind) {
            assertTrue(handler.happened(kind) > 0, "happened");
        }
    }

    function _step(uint256 dice) private {
        uint256 action = dice % 20;
        dice >>= 8;
        (uint64 amount, uint8 wrong, bool flag) =
            (uint64(dice >> 40), uint8(dice % 16), dice % 7 > 0);
        if (action < 6) handler.open(dice, amount, wrong);
        else if (action == 6) handler.topUp(dice, amount, wrong);
        else if (action < 10) handler.close(dice, wrong);
        else if (action == 10) handler.closeMany(dice);
        else if (action == 11) handler.cancel(dice);
        else if (action == 12) handler.reclaim(dice);
        else if (action == 13) handler.payHost(dice);
        else if (action == 14) handler.claim(dice, flag);
        else if (action == 15) handler.register(dice, flag);
        else if (action == 16) handler.reset(dice, amount);
        else if (action == 17) _seldom(dice, flag);
        else handler.wait(dice);
    }

    function _seldom(uint256 dice, bool flag) private {
        if (dice % 3 == 0) handler.voidNonce(dice);
        else if (dice % 3 == 1) handler.donate(uint32(dice));
        else handler.delegate(dice, flag);
    }
}
