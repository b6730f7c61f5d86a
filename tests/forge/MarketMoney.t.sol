// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../../contracts/interfaces/IEnergyMarket.sol";
import {MarketWorld} from "./MarketWorld.sol";
import {MoodyToken} from "./Tokens.sol";

/// @notice Deposits, permits and withdrawals, with tokens that do and do not behave.
contract MarketMoneyTest is MarketWorld {
    uint64 private constant DEPOSIT_MICRO_MAX = 1_125_899_906_842; // 2^50 nano, rounded down

    function setUp() public {
        foundPlain();
    }

    /* DEPOSITS */

    function testFuzz_a_deposit_moves_one_balance_and_as_many_tokens(uint32 account, uint64 micro)
        public
    {
        account = uint32(bound(account, 0, ACCOUNTS - 1));
        micro = uint64(bound(micro, 1, DEPOSIT_MICRO_MAX));
        uint256[] memory before = balancesNano();
        give(account, micro);
        uint256[] memory afterwards = balancesNano();
        for (uint32 a = 0; a < ACCOUNTS; ++a) {
            uint256 gain = a == account ? uint256(micro) * 1_000 : 0;
            assertEq(afterwards[a], before[a] + gain, "balance");
        }
        assertEq(token.balanceOf(address(market)), micro, "tokens");
    }

    function test_a_deposit_is_refused_without_amount_account_or_room() public {
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_ZeroAmount.selector, 2));
        market.deposit(2, 0);
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_UnknownAccount.selector, ACCOUNTS)
        );
        market.deposit(ACCOUNTS, 1);

        give(2, DEPOSIT_MICRO_MAX);
        uint256 above = (uint256(DEPOSIT_MICRO_MAX) + 1) * 1_000;
        token.mint(address(this), 1);
        token.approve(address(market), 1);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_DepositTooLarge.selector, 2, above, 2 ** 50
            )
        );
        market.deposit(2, 1);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_DepositTooLarge.selector,
                3,
                uint256(type(uint64).max) * 1_000,
                2 ** 50
            )
        );
        market.deposit(3, type(uint64).max);
    }

    function test_a_token_that_does_not_bring_exactly_the_amount_brings_nothing() public {
        token.mint(member(2), 1_000);
        vm.prank(member(2));
        token.approve(address(market), 1_000);
        for (uint8 mood = 1; mood < 6; ++mood) {
            token.feel(MoodyToken.Mood(mood));
            vm.prank(member(2));
            (bool done,) = address(market).call(abi.encodeCall(market.deposit, (2, 100)));
            assertTrue(!done, "refused");
            assertEq(market.balanceOf(2), 0, "balance");
        }
    }

    function test_a_token_that_calls_back_finds_the_doors_shut() public {
        give(2, 1_000);
        ask(2, 400);
        vm.warp(nowS() + DELAY_S);
        token.callBack(address(market), abi.encodeCall(market.withdraw, (2)));
        give(3, 100); // the withdrawal inside the deposit is refused, the deposit is not
        assertEq(market.balanceOf(2), 1_000_000, "not paid inside the deposit");
        assertEq(market.withdraw(2), 400, "paid once");
        assertEq(market.balanceOf(2), 600_000, "balance");

        ask(2, 100);
        vm.warp(nowS() + DELAY_S);
        token.callBack(address(market), abi.encodeCall(market.deposit, (2, 1)));
        market.withdraw(2);
        assertEq(market.balanceOf(2), 500_000, "no deposit inside the withdrawal");
        assertEq(token.balanceOf(address(market)), 600, "tokens");
    }

    /* PERMITS */

    function test_a_permit_is_enough_and_used_once() public {
        uint256 deadline = nowS() + 10;
        token.mint(member(2), 100);
        bytes memory signature = signedBy(key(2), permitDigest(2, 60, 0, deadline));
        vm.prank(stranger);
        market.depositWithPermit(2, member(2), 60, 0, deadline, signature);
        assertEq(market.balanceOf(2), 60_000, "balance");
        bytes32 digest = permitDigest(2, 60, 0, deadline);
        assertTrue(market.permitUsed(digest), "used");

        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_PermitUsed.selector, digest));
        market.depositWithPermit(2, member(2), 60, 0, deadline, signature);
    }

    function test_a_permit_that_a_front_runner_brought_to_the_token_still_works() public {
        uint256 deadline = nowS() + 10;
        token.mint(member(2), 100);
        bytes32 digest = permitDigest(2, 60, 0, deadline);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key(2), digest);
        token.permit(member(2), address(market), 60, deadline, v, r, s);
        market.depositWithPermit(2, member(2), 60, 0, deadline, abi.encodePacked(r, s, v));
        assertEq(market.balanceOf(2), 60_000, "balance");
    }

    function test_an_allowance_alone_never_moves_anybodys_tokens() public {
        uint256 deadline = nowS() + 10;
        token.mint(member(2), 100);
        vm.prank(member(2));
        token.approve(address(market), 100);
        bytes memory forged = signedBy(key(3), permitDigest(2, 60, 0, deadline));
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_BadSignature.selector, member(2)));
        market.depositWithPermit(2, member(2), 60, 0, deadline, forged);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_BadSignature.selector, member(2)));
        market.depositWithPermit(2, member(2), 60, 0, deadline, "");

        bytes memory signature = signedBy(key(2), permitDigest(2, 60, 0, deadline));
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_NotPayersAccount.selector, 3, member(2)
            )
        );
        market.depositWithPermit(3, member(2), 60, 0, deadline, signature);
        vm.warp(deadline + 1);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_PermitExpired.selector, deadline));
        market.depositWithPermit(2, member(2), 60, 0, deadline, signature);
    }

    /* WITHDRAWALS */

    function testFuzz_a_withdrawal_pays_the_request_or_what_is_there(uint64 have, uint64 asked)
        public
    {
        have = uint64(bound(have, 1, DEPOSIT_MICRO_MAX));
        asked = uint64(bound(asked, 1, type(uint64).max));
        give(2, have);
        ask(2, asked);
        uint256 maturesAt = nowS() + DELAY_S;

        vm.warp(maturesAt - 1);
        assertEq(market.availableOf(2), uint256(have) * 1_000, "not matured");
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotMatured.selector, 2, maturesAt)
        );
        market.withdraw(2);

        vm.warp(maturesAt);
        uint64 paid = asked < have ? asked : have;
        assertEq(market.availableOf(2), uint256(have - paid) * 1_000, "what is left");
        vm.prank(stranger);
        assertEq(market.withdraw(2), paid, "paid");
        assertEq(token.balanceOf(member(2)), paid, "to the account's address");
        assertEq(market.balanceOf(2), uint256(have - paid) * 1_000, "balance");
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NoRequest.selector, 2));
        market.withdraw(2);
    }

    function test_a_new_request_starts_the_delay_anew_and_zero_cancels() public {
        give(2, 1_000);
        ask(2, 400);
        vm.warp(nowS() + DELAY_S - 1);
        ask(2, 500);
        vm.warp(nowS() + 1);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_NotMatured.selector, 2, nowS() - 1 + DELAY_S
            )
        );
        market.withdraw(2);
        assertEq(market.requestOf(2).amountMicro, 500, "replaced");
        ask(2, 0);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NoRequest.selector, 2));
        market.withdraw(2);

        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_NotAccountsAddress.selector, 2, operator
            )
        );
        vm.prank(operator);
        market.requestWithdrawal(2, 1);
    }

    function test_a_signed_request_needs_a_rising_nonce() public {
        give(2, 1_000);
        _askSigned(400, 7);
        assertEq(market.requestOf(2).amountMicro, 400, "asked");
        assertEq(market.withdrawalNonce(2), 7, "nonce");
        IEnergyMarket.Withdrawal memory again =
            IEnergyMarket.Withdrawal({account: 2, amountMicro: 1, nonce: 7});
        bytes memory signature = signedBy(key(2), digestOf(address(market), withdrawalHash(again)));
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NonceUsed.selector, 2, 7, 7));
        market.requestWithdrawalBySig(again, signature);
        _askSigned(0, 8);
        assertEq(market.requestOf(2).requestedAt, 0, "cancelled");
    }

    function test_a_matured_withdrawal_waits_for_a_proposal_made_before_and_for_no_other() public {
        give(2, 1_000);
        give(3, 1_000);
        vm.warp(FIRST + PERIOD_S + DELAY_S);
        ask(2, 400);
        uint256 maturesAt = nowS() + DELAY_S;

        vm.warp(maturesAt - 1);
        propose(transferRun(FIRST, 0, 2, 3, 1_000));
        vm.warp(maturesAt + 10);
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_ProposalPending.selector, FIRST, 0)
        );
        market.withdraw(2);

        // At the last second the proposal can still be finalized; then it lapses.
        vm.warp(maturesAt - 1 + DISPUTE_S + FINALIZE_S);
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_ProposalPending.selector, FIRST, 0)
        );
        market.withdraw(2);
        vm.warp(nowS() + 1);
        propose(transferRun(FIRST, 0, 3, 2, 1_000)); // made again, after the request matured
        assertEq(market.withdraw(2), 400, "paid");
    }

    function test_a_hostile_token_cannot_take_a_balance_without_paying() public {
        give(2, 1_000);
        ask(2, 400);
        vm.warp(nowS() + DELAY_S);
        token.feel(MoodyToken.Mood.returnsFalse);
        (bool done,) = address(market).call(abi.encodeCall(market.withdraw, (2)));
        assertTrue(!done, "refused");
        assertEq(market.balanceOf(2), 1_000_000, "balance");
        token.feel(MoodyToken.Mood.plain);
        assertEq(market.withdraw(2), 400, "the request is still there");
    }

    /* INTERNAL */

    function _askSigned(uint64 amountMicro, uint256 nonce) private {
        IEnergyMarket.Withdrawal memory request =
            IEnergyMarket.Withdrawal({account: 2, amountMicro: amountMicro, nonce: nonce});
        market.requestWithdrawalBySig(
            request, signedBy(key(2), digestOf(address(market), withdrawalHash(request)))
        );
    }
}
