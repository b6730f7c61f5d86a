// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../../contracts/interfaces/IEnergyMarket.sol";
import {MarketModel} from "./MarketModel.sol";
import {Plain} from "./Plain.sol";
import {MoodyToken} from "./Tokens.sol";

/// @notice All that anybody may try, in any order: members, operator, owner, strangers, the clock and
/// a token that misbehaves. Each action predicts from the model whether it may take effect.
contract MarketHandler is MarketModel {
    constructor(bool direct) MarketModel(direct) {}

    /* MONEY */

    function deposit(uint32 account, uint64 micro, uint8 mood, bool stranger_) external {
        account = _account(account);
        micro = uint64(bound(micro, 0, micro % 5 == 0 ? 2_000_000_000_000 : 50_000_000));
        address payer = stranger_ ? stranger : market.addressOf(account);
        token.mint(payer, micro);
        vm.prank(payer);
        token.approve(address(market), micro);
        bool honest = _feel(mood, account);
        uint256 nano = uint256(micro) * 1_000;
        bool expected = micro > 0 && honest && uint256(modelNano[account]) + nano <= 2 ** 50;

        vm.prank(payer);
        (bool done,) = address(market).call(abi.encodeCall(market.deposit, (account, micro)));
        assertTrue(done == expected, "a deposit counts exactly if the tokens came");
        if (done) _paidIn(account, nano);
        _calm();
    }

    function depositWithPermit(uint32 account, uint64 micro, bool forged, bool frontRun) external {
        account = 2 + _account(account) % (ACCOUNTS - 2);
        micro = uint64(bound(micro, 1, 50_000_000));
        address payer = member(account);
        token.mint(payer, micro);
        uint256 nonce = token.nonces(payer);
        bytes32 digest = permitDigest(account, micro, nonce, nowS());
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(forged ? key(account) + 1 : key(account), digest);
        if (frontRun && !forged) token.permit(payer, address(market), micro, nowS(), v, r, s);
        bytes memory call = abi.encodeCall(
            market.depositWithPermit,
            (account, payer, micro, nonce, nowS(), abi.encodePacked(r, s, v))
        );
        bool expected = !forged && market.addressOf(account) == payer
            && uint256(modelNano[account]) + uint256(micro) * 1_000 <= 2 ** 50;
        (bool done,) = address(market).call(call);
        assertTrue(done == expected, "a permit counts exactly if the payer signed it");
        if (done) _paidIn(account, uint256(micro) * 1_000);
        (done,) = address(market).call(call);
        assertTrue(!done || !expected, "and once");
    }

    function ask(uint32 account, uint64 micro, bool signed, uint256 nonce, bool other) external {
        account = _account(account);
        address who = market.addressOf(account);
        if (signed && account >= 2 && who == member(account)) {
            nonce = bound(nonce, nonces[account] > 2 ? nonces[account] - 2 : 0, nonces[account] + 5);
            IEnergyMarket.Withdrawal memory request =
                IEnergyMarket.Withdrawal(account, micro, nonce);
            uint256 signer = other ? key(account) + 1 : key(account);
            bytes memory signature =
                signedBy(signer, digestOf(address(market), withdrawalHash(request)));
            try market.requestWithdrawalBySig(request, signature) {
                assertTrue(!other && nonce > nonces[account], "nonces rise");
                nonces[account] = nonce;
            } catch {
                assertTrue(other || nonce <= nonces[account], "a fresh signed request is taken");
            }
            return;
        }
        vm.prank(other ? stranger : who);
        (bool done,) =
            address(market).call(abi.encodeCall(market.requestWithdrawal, (account, micro)));
        assertTrue(done == !other, "only the account's address");
    }

    function withdraw(uint32 account, uint8 mood) external {
        account = _account(account);
        IEnergyMarket.Request memory request = market.requestOf(account);
        address to = market.addressOf(account);
        uint256 maturesAt = request.requestedAt + DELAY_S;
        bool expected = request.requestedAt > 0 && nowS() >= maturesAt;
        if (_stateNow() == IEnergyMarket.PendingState.proposed && pendingAt < maturesAt) {
            expected = false;
        }
        _feel(mood % 4 == 0 ? mood : 0, account);
        bool pays =
            token.mood() != MoodyToken.Mood.returnsFalse && token.mood() != MoodyToken.Mood.refuses;
        if (token.mood() == MoodyToken.Mood.doesNothing) token.feel(MoodyToken.Mood.plain);

        try market.withdraw(account) returns (uint64 paid) {
            assertTrue(expected && pays, "only what is due");
            uint256 have = uint256(modelNano[account]) / 1_000;
            assertEq(paid, request.amountMicro < have ? request.amountMicro : have, "paid");
            modelNano[account] -= int256(uint256(paid) * 1_000);
            assertTrue(market.addressOf(account) == to, "to whom");
            ++happened[2];
        } catch {
            assertTrue(!expected || !pays, "what is due is paid");
        }
        _calm();
    }

    function donate(uint32 micro) external {
        token.mint(address(market), micro);
        donatedMicro += micro;
    }

    /* RUNS */

    function propose(uint256 seed, uint8 kind, bool bad) external {
        Run memory run = _someRun(seed, kind);
        if (bad) _spoil(run, seed);
        bool right = _isTurn(run) && _shortsAreRight(run) && !bad;
        if (DIRECT) {
            right = right && _isPayable(run);
            pendingTariff = _tariffHash(run.proposal.periodStart);
        }
        vm.prank(operator);
        (bool done,) = address(market)
            .call(
                DIRECT
                    ? abi.encodeCall(
                        market.settle, (run.proposal, run.prices, run.deltas, run.shorts)
                    )
                    : abi.encodeCall(
                        market.propose, (run.proposal, run.prices, run.deltas, run.shorts)
                    )
            );
        assertTrue(done == right, "a run is published exactly when it is its turn");
        if (!done) return;
        if (DIRECT) {
            _apply(run);
            return;
        }
        (pendingRun, pendingAt, cancelled) = (abi.encode(run), nowS(), false);
        pendingTariff = _tariffHash(run.proposal.periodStart);
        ++happened[3];
    }

    function finalize(uint256 seed, uint8 tamper) external {
        if (pendingRun.length == 0) return;
        Run memory run = abi.decode(pendingRun, (Run));
        bool same = true;
        if (tamper % 4 == 0) {
            same = false;
            _spoil(run, seed);
        }
        bool expected = same && _stateNow() == IEnergyMarket.PendingState.proposed
            && nowS() >= pendingAt + DISPUTE_S && _isPayable(run);
        vm.prank(stranger);
        (bool done,) = address(market).call(_finalizeCall(run));
        assertTrue(done == expected, "applied exactly if it is the one, in time and payable");
        if (done) _apply(run);
    }

    function replay() external {
        if (appliedRun.length == 0) return;
        Run memory run = abi.decode(appliedRun, (Run));
        (bool done,) = address(market).call(_finalizeCall(run));
        vm.prank(operator);
        (bool again,) = address(market)
            .call(abi.encodeCall(market.settle, (run.proposal, run.prices, run.deltas, run.shorts)));
        assertTrue(!done && !again, "a run is applied once");
    }

    function cancel() external {
        bool expected = _stateNow() == IEnergyMarket.PendingState.proposed;
        vm.prank(operator);
        (bool done,) = address(market).call(abi.encodeCall(market.cancel, ()));
        assertTrue(done == expected, "cancelled exactly if pending");
        if (done) {
            cancelled = true;
            ++happened[4];
        }
    }

    /* PEOPLE AND TIME */

    function enrol(uint8 how) external {
        if (modelNano.length >= 14 || how % 3 > 0) return;
        vm.prank(operator);
        market.enrol(uint32(modelNano.length), member(uint32(modelNano.length)));
        modelNano.push(0);
        ++happened[5];
    }

    function move(uint32 account, uint8 step, address to) external {
        account = _account(account);
        address who = market.addressOf(account);
        if (step % 3 == 0 && to != address(0) && to != address(market) && to.code.length == 0) {
            vm.prank(who);
            market.requestMove(account, to);
        } else if (step % 3 == 1) {
            try market.executeMove(account) {
                ++happened[6];
            } catch {}
        } else {
            vm.prank(stranger);
            (bool done,) =
                address(market).call(abi.encodeCall(market.requestMove, (account, stranger)));
            assertTrue(!done || who == stranger, "strangers move nothing");
        }
    }

    function changeTariff(uint32 gridImport, uint64 periods, bool enact) external {
        if (enact) {
            try market.enactTariff() {
                ++happened[7];
            } catch {}
            return;
        }
        IEnergyMarket.Tariff memory next = tariff();
        next.gridImportPerKwh = uint32(bound(gridImport, GRID_EXPORT + FEE, 500_000));
        uint64 start = (uint64(nowS()) / PERIOD_S + uint64(bound(periods, 1, 6))) * PERIOD_S;
        vm.prank(owner);
        try market.announceTariff(next, start) {} catch {}
    }

    function intrude(uint256 seed, uint8 kind) external {
        Run memory run = _someRun(seed, kind);
        bytes[5] memory calls = [
            abi.encodeCall(market.propose, (run.proposal, run.prices, run.deltas, run.shorts)),
            abi.encodeCall(market.settle, (run.proposal, run.prices, run.deltas, run.shorts)),
            abi.encodeCall(market.enrol, (uint32(modelNano.length), stranger)),
            abi.encodeCall(market.cancel, ()),
            abi.encodeCall(market.announceTariff, (tariff(), nextStart + 10 * PERIOD_S))
        ];
        vm.prank(stranger);
        (bool done,) = address(market).call(calls[seed % 5]);
        assertTrue(!done, "a stranger has no role");
    }

    /// @dev Often to a second before, at or after an instant that decides something.
    function wait(uint256 forS, uint8 kind) external {
        uint256 at = nowS() + bound(forS, 1, PERIOD_S);
        if (kind % 6 == 1) at = nowS() + DISPUTE_S;
        if (kind % 6 == 2) at = pendingAt + PENDING_S + (forS % 3);
        if (kind % 6 == 3) at = nextStart + PERIOD_S + (forS % 3);
        if (kind % 6 == 4) at = nowS() + DELAY_S - (forS % 3);
        if (at > nowS()) vm.warp(at);
    }

    function leave(uint8 often) external {
        if (often % 4 == 0) requireAllCanLeave();
    }

    /* INTERNAL */

    function _account(uint32 account) private view returns (uint32) {
        return uint32(account % modelNano.length);
    }

    function _paidIn(uint32 account, uint256 nano) private {
        modelNano[account] += int256(nano);
        ++happened[8];
    }

    /// @dev Mostly plain. `true`: transfers do what they say, whatever else they do.
    function _feel(uint8 mood, uint32 account) private returns (bool) {
        if (mood < 128) return true;
        if (mood % 7 == 6) {
            bool inward = mood % 2 == 0;
            token.callBack(
                address(market),
                inward
                    ? abi.encodeCall(market.deposit, (account, 1))
                    : abi.encodeCall(market.withdraw, (account))
            );
            return true;
        }
        token.feel(MoodyToken.Mood(mood % 7));
        return mood % 7 == 0;
    }

    function _calm() private {
        token.feel(MoodyToken.Mood.plain);
    }

    /// @dev A few payments between accounts; mostly ones that can be made, sometimes with a shortfall.
    function _someRun(uint256 seed, uint8 kind) private view returns (Run memory run) {
        int256[] memory deltasNano = new int256[](modelNano.length);
        uint64 start = nextStart;
        uint32 number = 0;
        if (kind % 4 == 1 && nextStart > FIRST) {
            start = FIRST + uint64(seed % ((nextStart - FIRST) / PERIOD_S)) * PERIOD_S;
            number = finalCount[start];
        }
        if (pendingRun.length > 0 && kind % 8 < 6) {
            IEnergyMarket.Proposal memory first = abi.decode(pendingRun, (Run)).proposal;
            (start, number) = (first.periodStart, first.run);
        }
        uint32 short = uint32(1 + (seed >> 32) % (modelNano.length - 1));
        bool hasShort = kind % 16 > 11;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            uint32 from = uint32(dice % modelNano.length);
            if (hasShort && from == short) continue;
            uint256 most = uint256(modelNano[from]);
            if (most > CAP_NANO / 4) most = CAP_NANO / 4;
            if (kind % 16 == 10) most = 3 * CAP_NANO; // maybe too much
            int256 nano = int256(bound(dice >> 64, 0, most));
            deltasNano[from] -= nano;
            uint32 to = uint32((dice >> 32) % modelNano.length);
            deltasNano[hasShort && to == short ? 0 : to] += nano;
        }
        if (hasShort) {
            int256 nano = int256(_availableNano(short));
            deltasNano[short] -= nano;
            deltasNano[0] += nano;
        }
        run = runOf(start, number, deltasNano);
        if (start >= FIRST) run.prices = _pricesInForce(start);
        if (hasShort) run = withShort(run, short, uint64(1 + seed % 1_000_000));
    }

    /// @dev Something in it is wrong now, so that it can neither be published nor be the pending one.
    function _spoil(Run memory run, uint256 seed) private pure {
        uint256 kind = seed % 3;
        if (kind == 0) run.prices[0] ^= 1 << (seed >> 8) % 255;
        if (kind == 1) run.deltas = new uint256[](run.deltas.length + 9);
        if (kind == 2) run.proposal.periodStart ^= uint64(1 << (seed >> 8) % 63);
    }

    function _finalizeCall(Run memory run) private view returns (bytes memory) {
        return abi.encodeCall(
            market.finalize,
            (
                run.proposal.periodStart,
                run.proposal.run,
                run.proposal.cutoffAt,
                run.proposal.statementsRoot,
                windowsHash(run),
                run.deltas
            )
        );
    }
}
