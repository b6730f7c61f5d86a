// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Forge} from "./Forge.sol";
import {MarketHandler} from "./MarketHandler.sol";

/// @notice What holds whatever anybody does, with a dispute period and without.
abstract contract MarketInvariants is Forge {
    MarketHandler internal handler;
    address internal direct; // the handler, where it settles in one step

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_balances_move_by_the_rules_money_is_conserved_and_runs_go_in_order()
        public
        view
    {
        handler.requireSameBalances();
        handler.requireSolvent();
        handler.requireInOrder();
    }

    /// @notice The walk is worth something: in a long one, everything that may happen does.
    function test_a_long_walk_sees_everything_happen() public {
        for (uint256 i = 0; i < 1_500; ++i) {
            _step(uint256(keccak256(abi.encode(i))));
        }
        for (uint256 kind = 0; kind < 9; ++kind) {
            bool none = address(handler) == direct && (kind == 3 || kind == 4);
            assertTrue(none == (handler.happened(kind) == 0), "happened");
        }
    }

    function _step(uint256 dice) private {
        uint256 action = dice % 24;
        dice >>= 8;
        (uint32 account, uint8 kind, bool flag) = (uint32(dice >> 8), uint8(dice), dice % 7 == 0);
        uint64 amount = uint64(dice >> 40);
        if (action < 2) handler.deposit(account, amount, kind, flag);
        else if (action == 2) handler.depositWithPermit(account, amount, flag, dice % 2 == 0);
        else if (action == 3) handler.ask(account, amount % 10 ** 9, dice % 2 == 0, dice, flag);
        else if (action < 6) handler.withdraw(account, kind);
        else if (action == 6) handler.donate(account);
        else if (action < 12) handler.propose(dice, kind, flag);
        else if (action < 15) handler.finalize(dice, kind);
        else if (action == 15) handler.replay();
        else if (action == 16 && flag) handler.cancel();
        else if (action == 17) handler.enrol(kind);
        else if (action == 18) handler.move(account, kind, address(uint160(dice)));
        else if (action == 19) handler.changeTariff(account, amount, flag || dice % 2 == 0);
        else if (action == 20) handler.intrude(dice, kind);
        else if (action == 21) handler.leave(kind);
        else handler.wait(dice, kind);
    }

    function afterInvariant() public {
        handler.requireAllCanLeave();
    }
}

contract DisputedMarketInvariants is MarketInvariants {
    function setUp() public {
        handler = new MarketHandler(false);
    }
}

contract DirectMarketInvariants is MarketInvariants {
    function setUp() public {
        handler = new MarketHandler(true);
        direct = address(handler);
    }
}
