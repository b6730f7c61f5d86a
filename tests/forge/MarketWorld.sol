// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../../contracts/interfaces/IEnergyMarket.sol";
import {Forge} from "./Forge.sol";
import {Plain} from "./Plain.sol";
import {MoodyToken} from "./Tokens.sol";

/// @notice One small community: two windows of a quarter of an hour to a period, five members.
abstract contract MarketWorld is Forge {
    uint64 internal constant WINDOW_S = 900;
    uint32 internal constant WINDOWS = 2;
    uint64 internal constant PERIOD_S = WINDOW_S * WINDOWS;
    uint64 internal constant DISPUTE_S = 300;
    uint64 internal constant FINALIZE_S = 400;
    uint64 internal constant GRACE_S = 600;
    uint64 internal constant DELAY_S = PERIOD_S + GRACE_S + DISPUTE_S + FINALIZE_S;
    uint64 internal constant FIRST = PERIOD_S * 1_000_000;

    uint32 internal constant GRID_IMPORT = 300_000;
    uint32 internal constant GRID_EXPORT = 80_000;
    uint32 internal constant FEE = 20_000;
    uint256 internal constant MID = 180_000;
    uint64 internal constant DEBIT_MAX_WH = 10_000;
    uint256 internal constant CAP_NANO = uint256(DEBIT_MAX_WH) * WINDOWS * GRID_IMPORT;
    uint64 internal constant SUPPLIER_CAP_NANO = 50_000_000_000;

    uint32 internal constant ACCOUNTS = 7;

    address internal owner = address(0xA1);
    address internal operator = address(0xA2);
    address internal supplier = address(0xA3);
    address internal gridOperator = address(0xA4);
    address internal stranger = address(0xA5);

    MoodyToken internal token;
    IEnergyMarket internal market;

    /* THE COMMUNITY */

    function tariff() internal pure returns (IEnergyMarket.Tariff memory) {
        return IEnergyMarket.Tariff({
            gridImportPerKwh: GRID_IMPORT,
            gridExportPerKwh: GRID_EXPORT,
            localFeePerKwh: FEE,
            fixedPerKwh: 0
        });
    }

    function plainConfig() internal view returns (IEnergyMarket.Config memory config) {
        config.token = address(token);
        config.registry = address(0xBEEF);
        config.owner = owner;
        config.operator = operator;
        config.supplier = supplier;
        config.gridOperator = gridOperator;
        config.firstPeriodStart = FIRST;
        config.windowS = uint32(WINDOW_S);
        config.periodWindows = WINDOWS;
        config.graceS = uint32(GRACE_S);
        config.disputePeriodS = uint32(DISPUTE_S);
        config.finalizeWithinS = uint32(FINALIZE_S);
        config.withdrawalDelayS = uint32(DELAY_S);
        config.auctionKBps = 5_000;
        config.debitMaxWh = DEBIT_MAX_WH;
        config.supplierDebitMaxNano = SUPPLIER_CAP_NANO;
        config.tariff = tariff();
    }

    function found(IEnergyMarket.Config memory config) internal {
        vm.warp(FIRST - PERIOD_S);
        market = IEnergyMarket(vm.deployCode("EnergyMarket.sol", abi.encode(config)));
        address[] memory owners = new address[](ACCOUNTS - 2);
        for (uint256 i = 0; i < owners.length; ++i) {
            owners[i] = member(2 + uint32(i));
        }
        vm.prank(operator);
        market.enrolMany(2, owners);
    }

    function foundPlain() internal {
        token = new MoodyToken(6);
        found(plainConfig());
    }

    /// @notice Publishes and applies in one step: no dispute period.
    function foundDirect() internal {
        token = new MoodyToken(6);
        IEnergyMarket.Config memory config = plainConfig();
        (config.disputePeriodS, config.finalizeWithinS) = (0, 0);
        found(config);
    }

    /// @notice A member's key; accounts 0 and 1 have none.
    function key(uint32 account) internal pure returns (uint256) {
        return 1_000 + account;
    }

    function member(uint32 account) internal pure returns (address) {
        return vm.addr(key(account));
    }

    function holder(uint32 account) internal view returns (address) {
        return account == 0 ? supplier : account == 1 ? gridOperator : member(account);
    }

    /* MONEY */

    function give(uint32 account, uint64 amountMicro) internal {
        address payer = holder(account);
        token.mint(payer, amountMicro);
        vm.prank(payer);
        token.approve(address(market), amountMicro);
        vm.prank(payer);
        market.deposit(account, amountMicro);
    }

    function ask(uint32 account, uint64 amountMicro) internal {
        vm.prank(market.addressOf(account));
        market.requestWithdrawal(account, amountMicro);
    }

    function balancesNano() internal view returns (uint256[] memory nano) {
        nano = new uint256[](market.accountCount());
        for (uint32 a = 0; a < nano.length; ++a) {
            nano[a] = market.balanceOf(a);
        }
    }

    /* RUNS */

    /// @notice A run with constant parts; `deltas` are one word for four accounts.
    struct Run {
        IEnergyMarket.Proposal proposal;
        uint256[] prices;
        uint256[] deltas;
        IEnergyMarket.Short[] shorts;
    }

    function runOf(uint64 periodStart, uint32 number, int256[] memory deltasNano)
        internal
        view
        returns (Run memory run)
    {
        uint64 endsAt = periodStart + PERIOD_S;
        run.proposal = IEnergyMarket.Proposal({
            periodStart: periodStart,
            run: number,
            cutoffAt: uint64(nowS()) < endsAt ? endsAt : uint64(nowS()),
            statementsRoot: keccak256("statements"),
            totalsHash: keccak256("totals")
        });
        run.prices = pricesOf(MID);
        run.deltas = Plain.encode(deltasNano);
    }

    /// @notice `payerNano` from one account to another; nobody else pays or gets anything.
    function transferRun(uint64 periodStart, uint32 number, uint32 from, uint32 to, int256 nano)
        internal
        view
        returns (Run memory)
    {
        int256[] memory deltasNano = new int256[](market.accountCount());
        deltasNano[from] -= nano;
        deltasNano[to] += nano;
        return runOf(periodStart, number, deltasNano);
    }

    function pricesOf(uint256 localPerKwh) internal pure returns (uint256[] memory prices) {
        return pricesUnder(tariff(), localPerKwh);
    }

    function pricesUnder(IEnergyMarket.Tariff memory inForce, uint256 localPerKwh)
        internal
        pure
        returns (uint256[] memory prices)
    {
        prices = new uint256[](WINDOWS);
        for (uint256 i = 0; i < WINDOWS; ++i) {
            prices[i] = localPerKwh << 96 | uint256(inForce.localFeePerKwh) << 64
                | uint256(inForce.gridImportPerKwh) << 32 | inForce.gridExportPerKwh;
        }
    }

    function withShort(Run memory run, uint32 account, uint64 shortfallNano)
        internal
        pure
        returns (Run memory)
    {
        IEnergyMarket.Short[] memory shorts = new IEnergyMarket.Short[](run.shorts.length + 1);
        for (uint256 i = 0; i < run.shorts.length; ++i) {
            shorts[i] = run.shorts[i];
        }
        shorts[run.shorts.length] =
            IEnergyMarket.Short({account: account, shortfallNano: shortfallNano});
        run.shorts = shorts;
        return run;
    }

    function propose(Run memory run) internal {
        vm.prank(operator);
        market.propose(run.proposal, run.prices, run.deltas, run.shorts);
    }

    function settle(Run memory run) internal {
        vm.prank(operator);
        market.settle(run.proposal, run.prices, run.deltas, run.shorts);
    }

    function finalize(Run memory run) internal {
        market.finalize(
            run.proposal.periodStart,
            run.proposal.run,
            run.proposal.cutoffAt,
            run.proposal.statementsRoot,
            windowsHash(run),
            run.deltas
        );
    }

    /// @notice Proposes at the earliest time and finalizes at the earliest time.
    function proposeAndFinalize(Run memory run) internal {
        propose(run);
        vm.warp(nowS() + DISPUTE_S);
        finalize(run);
    }

    function windowsHash(Run memory run) internal pure returns (bytes32) {
        return
            keccak256(abi.encode(keccak256(abi.encodePacked(run.prices)), run.proposal.totalsHash));
    }

    function commitment(Run memory run) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                run.proposal.statementsRoot,
                windowsHash(run),
                Plain.root(run.deltas),
                run.proposal.run,
                run.proposal.cutoffAt
            )
        );
    }

    /* SIGNATURES */

    function digestOf(address verifier, bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("Wattledger"),
                keccak256("1"),
                block.chainid,
                verifier
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function withdrawalHash(IEnergyMarket.Withdrawal memory request)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                keccak256("Withdrawal(uint32 account,uint64 amountMicro,uint256 nonce)"), request
            )
        );
    }

    function limitsHash(IEnergyMarket.PriceLimits memory limits) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "PriceLimits(uint32 account,uint64 validFrom,uint64 maxBuyPerKwh,uint64 minSellPerKwh,uint256 nonce)"
                ),
                limits
            )
        );
    }

    function signedBy(uint256 signer, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signer, digest);
        return abi.encodePacked(r, s, v);
    }

    function permitDigest(uint32 account, uint64 amountMicro, uint256 nonce, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
                ),
                member(account),
                address(market),
                uint256(amountMicro),
                nonce,
                deadline
            )
        );
        return keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
    }

    /* REFUSALS */

    /// @notice The next call must revert with exactly this error.
    function refused(bytes memory reason) internal {
        vm.expectRevert(reason);
    }
}
