// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../../contracts/interfaces/IEnergyMarket.sol";
import {MarketWorld} from "./MarketWorld.sol";
import {Plain} from "./Plain.sol";

/// @notice A market beside a plain model of it: one signed number an account, one count a period.
/// @dev The model is moved by what the rules say, never by what the market says.
abstract contract MarketModel is MarketWorld {
    bool internal immutable DIRECT; // no dispute period
    uint256 internal immutable PENDING_S;

    int256[] internal modelNano;
    uint256 internal donatedMicro;
    uint64 internal nextStart = FIRST; // the first period without a final run 0
    mapping(uint64 periodStart => uint32) internal finalCount;
    uint256 internal revisedAt; // 0: never

    bytes internal pendingRun; // encoded {Run}; empty: none was made, or it was applied
    uint256 internal pendingAt;
    bool internal cancelled;
    bytes internal appliedRun; // the last one, to be replayed
    bytes32 internal pendingTariff;

    mapping(uint32 account => uint256) internal nonces;
    uint256[12] public happened; // how often each kind of action took effect

    constructor(bool direct) {
        DIRECT = direct;
        PENDING_S = direct ? 0 : DISPUTE_S + FINALIZE_S;
        if (direct) foundDirect();
        else foundPlain();
        for (uint32 a = 0; a < ACCOUNTS; ++a) {
            give(a, 100_000_000);
            modelNano.push(100_000_000_000);
        }
    }

    /* INVARIANTS */

    function requireSameBalances() public view {
        assertEq(market.accountCount(), modelNano.length, "accounts");
        for (uint32 a = 0; a < modelNano.length; ++a) {
            assertEq(
                market.balanceOf(a),
                uint256(modelNano[a]),
                "nobody's balance moves but by the rules"
            );
            assertTrue(market.balanceOf(a) < 2 ** 51, "in bounds");
            assertTrue(market.availableOf(a) <= market.balanceOf(a), "available");
        }
    }

    function requireSolvent() public view {
        uint256 sumNano;
        uint256[] memory words = market.balanceWords(0, modelNano.length / 4 + 2);
        for (uint256 i = 0; i < words.length; ++i) {
            for (uint256 k = 0; k < 4; ++k) {
                sumNano += Plain.balance(words[i], k);
            }
        }
        uint256 heldMicro = token.balanceOf(address(market)) - donatedMicro;
        assertEq(sumNano, heldMicro * 1_000, "balances are what the contract holds");
    }

    function requireInOrder() public view {
        assertEq(market.nextPeriodStart(), nextStart, "period by period");
        for (uint64 start = FIRST; start <= nextStart; start += PERIOD_S) {
            assertEq(market.finalRuns(start), finalCount[start], "runs are applied once, in order");
        }
        assertEq(market.lastRevisionAt(), revisedAt, "revisions");
        for (uint32 a = 0; a < modelNano.length; ++a) {
            assertEq(market.withdrawalNonce(a), nonces[a], "nonces");
        }
        IEnergyMarket.PendingState state = market.pending().state;
        assertTrue(state == _stateNow(), "pending");
    }

    /// @notice Whatever happens: whoever wants to leave has everything after the delay and at most
    /// one pending proposal, and the operator can do nothing against it.
    function requireAllCanLeave() public {
        uint256 state = vm.snapshotState();
        for (uint32 a = 0; a < modelNano.length; ++a) {
            vm.prank(market.addressOf(a));
            market.requestWithdrawal(a, type(uint64).max);
        }
        vm.warp(nowS() + DELAY_S - 1);
        _proposeNothing(); // just before it would be too late
        vm.warp(nowS() + 1 + PENDING_S);
        _proposeNothing(); // and again when that has lapsed
        for (uint32 a = 0; a < modelNano.length; ++a) {
            address to = market.addressOf(a);
            uint256 beforeMicro = token.balanceOf(to);
            uint256 paidMicro = market.withdraw(a);
            assertEq(paidMicro, uint256(modelNano[a]) / 1_000, "everything is paid");
            assertEq(token.balanceOf(to), beforeMicro + paidMicro, "to the account's address");
            assertTrue(market.balanceOf(a) < 1_000, "less than a base unit stays");
        }
        vm.revertToState(state);
    }

    /* THE RULES, PLAINLY */

    function _stateNow() internal view returns (IEnergyMarket.PendingState) {
        if (pendingRun.length == 0) return IEnergyMarket.PendingState.none;
        if (cancelled) return IEnergyMarket.PendingState.cancelled;
        bool late = nowS() > pendingAt + PENDING_S;
        return late ? IEnergyMarket.PendingState.lapsed : IEnergyMarket.PendingState.proposed;
    }

    function _isTurn(Run memory run) internal view returns (bool) {
        (uint64 start, uint32 number) = (run.proposal.periodStart, run.proposal.run);
        if (_stateNow() == IEnergyMarket.PendingState.proposed) return false;
        if (pendingRun.length > 0) {
            IEnergyMarket.Proposal memory first = abi.decode(pendingRun, (Run)).proposal;
            if (first.periodStart != start || first.run != number) return false;
        }
        if (start % PERIOD_S != 0 || nowS() < start + PERIOD_S) return false;
        if (run.proposal.cutoffAt > nowS() || run.proposal.cutoffAt < start + PERIOD_S) {
            return false;
        }
        if (number == 0) return start == nextStart;
        if (start < FIRST || start >= nextStart || number != finalCount[start]) return false;
        return revisedAt == 0 || nowS() >= revisedAt + PERIOD_S;
    }

    /// @dev Each listed account pays all that it has less a matured request.
    function _shortsAreRight(Run memory run) internal view returns (bool) {
        for (uint256 i = 0; i < run.shorts.length; ++i) {
            uint32 account = run.shorts[i].account;
            if (_delta(run, account) != -int256(_availableNano(account))) return false;
        }
        return true;
    }

    function _availableNano(uint32 account) internal view returns (uint256) {
        IEnergyMarket.Request memory request = market.requestOf(account);
        uint256 haveNano = uint256(modelNano[account]);
        if (request.requestedAt == 0 || nowS() < request.requestedAt + DELAY_S) return haveNano;
        uint256 askedNano = uint256(request.amountMicro) * 1_000;
        return askedNano < haveNano ? haveNano - askedNano : 0;
    }

    /// @dev Everybody can pay, within the cap, and the sum is zero.
    function _isPayable(Run memory run) internal view returns (bool) {
        uint256 perKwh = market.tariffAt(run.proposal.periodStart).gridImportPerKwh;
        uint256 memberCap =
            uint256(DEBIT_MAX_WH) * WINDOWS * perKwh * (run.proposal.run > 0 ? 2 : 1);
        int256 sumNano;
        for (uint32 a = 0; a < 4 * run.deltas.length; ++a) {
            int256 deltaNano = _delta(run, a);
            int256 haveNano = a < modelNano.length ? modelNano[a] : int256(0);
            uint256 capNano = a < 2 ? SUPPLIER_CAP_NANO : memberCap;
            if (deltaNano < -int256(capNano) || haveNano + deltaNano < 0) return false;
            if (haveNano + deltaNano >= 2 ** 51) return false;
            sumNano += deltaNano;
        }
        return sumNano == 0;
    }

    /// @dev One account's lane, by arithmetic that has nothing to do with the library's.
    function _delta(Run memory run, uint32 account) internal pure returns (int256) {
        uint256 word = run.deltas[account / 4];
        for (uint256 k = 0; k < 4; ++k) {
            int256 nano = int256(int64(uint64(word)));
            if (k == account % 4) return nano;
            unchecked {
                word = uint256((int256(word) - nano) >> 64);
            }
        }
        return 0;
    }

    /// @dev What the market has to have done when a run is applied.
    function _apply(Run memory run) internal {
        (uint64 start, uint32 number) = (run.proposal.periodStart, run.proposal.run);
        assertTrue(_isPayable(run), "only a run that everybody can pay is applied");
        assertEq(number, finalCount[start], "once and in order");
        assertTrue(pendingTariff == _tariffHash(start), "a tariff stays what it was");
        finalCount[start] += 1;
        if (number == 0) nextStart += PERIOD_S;
        else revisedAt = nowS();
        for (uint32 a = 0; a < modelNano.length && a < 4 * run.deltas.length; ++a) {
            modelNano[a] += _delta(run, a);
        }
        appliedRun = abi.encode(run);
        pendingRun = "";
        ++happened[number == 0 ? 0 : 1];
    }

    /// @dev The rule is `midMarket`.
    function _pricesInForce(uint64 start) internal view returns (uint256[] memory) {
        IEnergyMarket.Tariff memory inForce = market.tariffAt(start);
        uint256 maxPerKwh = inForce.gridImportPerKwh - inForce.localFeePerKwh;
        return pricesUnder(inForce, (inForce.gridExportPerKwh + maxPerKwh) / 2);
    }

    function _tariffHash(uint64 start) internal view returns (bytes32) {
        return keccak256(abi.encode(market.tariffAt(start)));
    }

    /// @dev What comes next, moving nothing: the most that an operator can do to be in the way.
    function _proposeNothing() private {
        if (DIRECT || nowS() < nextStart + PERIOD_S) return;
        Run memory run = runOf(nextStart, 0, new int256[](modelNano.length));
        run.prices = _pricesInForce(nextStart);
        if (pendingRun.length > 0) run = abi.decode(pendingRun, (Run));
        run.deltas = new uint256[]((modelNano.length + 3) / 4);
        delete run.shorts;
        vm.prank(operator);
        try market.propose(run.proposal, run.prices, run.deltas, run.shorts) {} catch {}
    }
}
