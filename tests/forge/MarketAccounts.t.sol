// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../../contracts/interfaces/IEnergyMarket.sol";
import {MarketWorld} from "./MarketWorld.sol";
import {Wallet} from "./Tokens.sol";

/// @notice Enrolment, recovery, moves, roles and signed limits.
contract MarketAccountsTest is MarketWorld {
    function setUp() public {
        foundPlain();
    }

    /* ENROLMENT */

    function test_enrolment_goes_one_by_one_and_only_by_the_operator() public {
        refused(_error(IEnergyMarket.EnergyMarket_NotOperator.selector, stranger));
        vm.prank(stranger);
        market.enrol(ACCOUNTS, stranger);

        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_NotNextAccount.selector, ACCOUNTS + 1, ACCOUNTS
            )
        );
        vm.prank(operator);
        market.enrol(ACCOUNTS + 1, stranger);

        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_ZeroAddress.selector));
        vm.prank(operator);
        market.enrol(ACCOUNTS, address(0));

        vm.expectEmit(address(market));
        emit IEnergyMarket.AccountEnrolled(ACCOUNTS, stranger);
        vm.prank(operator);
        market.enrol(ACCOUNTS, stranger);
        assertEq(market.accountCount(), ACCOUNTS + 1, "accounts");
    }

    function test_at_most_256_at_once_and_8192_in_all() public {
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_TooManyAccounts.selector, 257, 256)
        );
        vm.prank(operator);
        market.enrolMany(ACCOUNTS, new address[](257));

        uint32 next = ACCOUNTS;
        while (next < 8_192) {
            uint256 count = 8_192 - next < 256 ? 8_192 - next : 256;
            address[] memory owners = new address[](count);
            for (uint256 i = 0; i < count; ++i) {
                owners[i] = stranger;
            }
            vm.prank(operator);
            market.enrolMany(next, owners);
            next += uint32(count);
        }
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_TooManyAccounts.selector, 8_192, 8_192
            )
        );
        vm.prank(operator);
        market.enrol(8_192, stranger);

        // A run over all of them still finds every account, up to the last.
        give(2, 10_000_000);
        vm.warp(FIRST + PERIOD_S);
        proposeAndFinalize(transferRun(FIRST, 0, 2, 8_191, 1_234));
        assertEq(market.balanceOf(8_191), 1_234, "the last account");
    }

    /* MOVES */

    function test_only_the_accounts_address_names_recovery() public {
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_NotAccountsAddress.selector, 2, operator
            )
        );
        vm.prank(operator);
        market.nameRecovery(2, operator);

        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_UnknownAccount.selector, 99));
        market.nameRecovery(99, operator);

        vm.prank(member(2));
        market.nameRecovery(2, stranger);
        assertTrue(market.recoveryOf(2) == stranger, "recovery");
    }

    function test_a_move_takes_the_withdrawal_delay_and_ends_recovery() public {
        vm.prank(member(2));
        market.nameRecovery(2, stranger);
        vm.prank(stranger);
        market.requestMove(2, address(0xD1));
        assertTrue(market.moveOf(2).byRecovery, "by recovery");
        uint256 earliestAt = nowS() + DELAY_S;

        vm.warp(earliestAt - 1);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_TooEarly.selector, earliestAt));
        market.executeMove(2);

        vm.warp(earliestAt);
        market.executeMove(2);
        assertTrue(market.addressOf(2) == address(0xD1), "address");
        assertTrue(market.recoveryOf(2) == address(0), "recovery");
        assertTrue(market.moveOf(2).to == address(0), "move");

        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NoMove.selector, 2));
        market.executeMove(2);
    }

    function test_the_account_cancels_what_recovery_began_and_not_the_other_way_round() public {
        vm.prank(member(2));
        market.nameRecovery(2, stranger);
        vm.prank(stranger);
        market.requestMove(2, stranger);
        vm.prank(member(2));
        market.cancelMove(2);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NoMove.selector, 2));
        vm.prank(member(2));
        market.cancelMove(2);

        vm.prank(member(2));
        market.requestMove(2, address(0xD1));
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_OwnMoveUnderWay.selector, 2));
        vm.prank(stranger);
        market.requestMove(2, stranger);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_NotAccountsAddress.selector, 2, stranger
            )
        );
        vm.prank(stranger);
        market.cancelMove(2);

        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_NotAccountsAddress.selector, 2, operator
            )
        );
        vm.prank(operator);
        market.requestMove(2, operator);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_ZeroAddress.selector));
        vm.prank(member(2));
        market.requestMove(2, address(0));
    }

    function test_what_the_former_address_signed_is_worth_nothing_after_a_move() public {
        IEnergyMarket.Withdrawal memory request =
            IEnergyMarket.Withdrawal({account: 2, amountMicro: 5, nonce: 1});
        bytes memory signature =
            signedBy(key(2), digestOf(address(market), withdrawalHash(request)));
        vm.prank(member(2));
        market.requestMove(2, member(3));
        vm.warp(nowS() + DELAY_S);
        market.executeMove(2);

        refused(_error(IEnergyMarket.EnergyMarket_BadSignature.selector, member(3)));
        market.requestWithdrawalBySig(request, signature);
    }

    /* LIMITS */

    function test_limits_are_signed_kept_and_effective_from_now_at_the_earliest() public {
        IEnergyMarket.PriceLimits memory limits = _limits(1, 5);
        _setLimits(limits, key(2));
        limits = _limits(uint64(nowS()) + 50, 6);
        _setLimits(limits, key(2));

        IEnergyMarket.Limits[] memory kept = market.limitsOf(2);
        assertEq(kept.length, 2, "count");
        assertEq(kept[0].effectiveFrom, nowS(), "not in the past");
        assertEq(kept[1].effectiveFrom, nowS() + 50, "later");
        assertEq(kept[1].maxBuyPerKwh, 250_000, "max buy");
        assertEq(kept[1].minSellPerKwh, 90_000, "min sell");
        assertEq(market.limitsNonce(2), 6, "nonce");

        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NonceUsed.selector, 2, 6, 6));
        _setLimits(limits, key(2));
    }

    function testFuzz_nobody_else_signs_and_no_other_place_counts(uint256 signer, uint256 way)
        public
    {
        signer = bound(signer, 1, 2 ** 128);
        if (signer == key(2)) ++signer;
        IEnergyMarket.PriceLimits memory limits = _limits(1, 5);
        bytes memory signature = signedBy(signer, digestOf(address(market), limitsHash(limits)));
        if (way % 4 == 1) {
            signature = signedBy(key(2), digestOf(address(token), limitsHash(limits)));
        } else if (way % 4 == 2) {
            vm.chainId(block.chainid + 1);
            bytes32 digest = digestOf(address(market), limitsHash(limits));
            vm.chainId(31_337);
            signature = signedBy(key(2), digest);
        } else if (way % 4 == 3) {
            signature = _malleated(signedBy(key(2), digestOf(address(market), limitsHash(limits))));
        }
        refused(_error(IEnergyMarket.EnergyMarket_BadSignature.selector, member(2)));
        market.setLimits(limits, signature);
    }

    function test_a_contract_wallet_signs_by_erc1271() public {
        Wallet wallet = new Wallet();
        vm.prank(operator);
        market.enrol(ACCOUNTS, address(wallet));
        IEnergyMarket.PriceLimits memory limits = _limits(1, 5);
        limits.account = ACCOUNTS;
        refused(_error(IEnergyMarket.EnergyMarket_BadSignature.selector, address(wallet)));
        market.setLimits(limits, "");
        wallet.accept(digestOf(address(market), limitsHash(limits)));
        market.setLimits(limits, "");
        assertEq(market.limitsOf(ACCOUNTS).length, 1, "count");
    }

    /* ROLES */

    function test_ownership_takes_two_steps() public {
        refused(_error(IEnergyMarket.EnergyMarket_NotOwner.selector, stranger));
        vm.prank(stranger);
        market.announceOwner(stranger);
        vm.prank(owner);
        market.announceOwner(address(0xD1));
        assertTrue(market.announcedOwner() == address(0xD1), "announced");
        refused(_error(IEnergyMarket.EnergyMarket_NotAnnounced.selector, stranger));
        vm.prank(stranger);
        market.acceptOwner();
        vm.prank(address(0xD1));
        market.acceptOwner();
        assertTrue(market.owner() == address(0xD1), "owner");
        assertTrue(market.announcedOwner() == address(0), "used up");
    }

    function test_a_new_operator_waits_for_the_withdrawal_delay() public {
        refused(_error(IEnergyMarket.EnergyMarket_NotOwner.selector, operator));
        vm.prank(operator);
        market.announceOperator(stranger);
        vm.prank(owner);
        market.announceOperator(stranger);
        (address next, uint64 announcedAt) = market.announcedOperator();
        assertTrue(next == stranger && announcedAt == nowS(), "announced");
        uint256 earliestAt = nowS() + DELAY_S;

        vm.warp(earliestAt - 1);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_TooEarly.selector, earliestAt));
        vm.prank(stranger);
        market.acceptOperator();
        vm.warp(earliestAt);
        refused(_error(IEnergyMarket.EnergyMarket_NotAnnounced.selector, operator));
        vm.prank(operator);
        market.acceptOperator();
        vm.prank(stranger);
        market.acceptOperator();
        assertTrue(market.operator() == stranger, "operator");
    }

    /* INTERNAL */

    function _limits(uint64 validFrom, uint256 nonce)
        private
        pure
        returns (IEnergyMarket.PriceLimits memory)
    {
        return IEnergyMarket.PriceLimits({
            account: 2,
            validFrom: validFrom,
            maxBuyPerKwh: 250_000,
            minSellPerKwh: 90_000,
            nonce: nonce
        });
    }

    function _setLimits(IEnergyMarket.PriceLimits memory limits, uint256 signer) private {
        market.setLimits(limits, signedBy(signer, digestOf(address(market), limitsHash(limits))));
    }

    /// @dev The other signature of the same message: s on the far side of the curve.
    function _malleated(bytes memory signature) private pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = (0, 0, uint8(signature[64]));
        assembly {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
        }
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        return abi.encodePacked(r, order - uint256(s), v == 27 ? uint8(28) : uint8(27));
    }

    function _error(bytes4 selector, address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, who);
    }
}
