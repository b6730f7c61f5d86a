// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../../contracts/interfaces/IEnergyMarket.sol";
import {MarketWorld} from "./MarketWorld.sol";
import {MoodyToken} from "./Tokens.sol";

/// @notice What a community may be created with, its views, and how its tariff changes.
contract MarketTariffsTest is MarketWorld {
    function setUp() public {
        foundPlain();
    }

    /* CREATION */

    function test_the_config_reads_back_as_it_was_given() public view {
        bytes32 given = keccak256(abi.encode(plainConfig()));
        assertTrue(keccak256(abi.encode(market.config())) == given, "config");
        assertTrue(market.owner() == owner && market.operator() == operator, "roles");
        assertTrue(market.addressOf(0) == supplier, "account 0");
        assertTrue(market.addressOf(1) == gridOperator, "account 1");
        assertTrue(
            keccak256(abi.encode(market.tariffAt(FIRST))) == keccak256(abi.encode(tariff())),
            "tariff"
        );
        assertEq(
            market.tariffAt(FIRST - 1).gridImportPerKwh, 0, "no tariff before the first period"
        );
        assertEq(market.tariffAt(type(uint64).max).gridImportPerKwh, GRID_IMPORT, "for ever");
        assertEq(market.nextPeriodStart(), FIRST, "next");
        assertEq(market.lastRevisionAt(), 0, "no revision");
    }

    function test_balance_words_hold_four_balances_each() public {
        for (uint32 a = 0; a < ACCOUNTS; ++a) {
            give(a, 10 + a);
        }
        uint256[] memory words = market.balanceWords(0, 2);
        for (uint32 a = 0; a < ACCOUNTS; ++a) {
            assertEq((words[a / 4] >> (64 * (a % 4))) & (2 ** 64 - 1), (10 + a) * 1_000, "lane");
        }
        assertEq(market.balanceWords(2, 2).length, 0, "an empty range");
    }

    function test_nobody_is_left_out() public {
        for (uint256 i = 0; i < 6; ++i) {
            IEnergyMarket.Config memory config = plainConfig();
            if (i == 0) config.token = address(0);
            if (i == 1) config.registry = address(0);
            if (i == 2) config.owner = address(0);
            if (i == 3) config.operator = address(0);
            if (i == 4) config.supplier = address(0);
            if (i == 5) config.gridOperator = address(0);
            _notFounded(
                config, abi.encodeWithSelector(IEnergyMarket.EnergyMarket_ZeroAddress.selector)
            );
        }
    }

    function test_a_token_has_six_decimals() public {
        IEnergyMarket.Config memory config = plainConfig();
        config.token = address(new MoodyToken(18));
        _notWithin(config, "token", 18, 6, 6);
    }

    function test_times_fit_together() public {
        IEnergyMarket.Config memory config = plainConfig();
        config.periodWindows = 97;
        _notWithin(config, "periodWindows", 97, 1, 96);
        config.periodWindows = 0;
        _notWithin(config, "periodWindows", 0, 1, 96);
        config = plainConfig();
        config.windowS = 0;
        _notWithin(config, "windowS", 0, 1, type(uint32).max);
        config = plainConfig();
        config.firstPeriodStart = FIRST + 1;
        _notWithin(config, "firstPeriodStart", 1, 0, 0);
        config.firstPeriodStart = 2 ** 40 + 1;
        _notWithin(config, "firstPeriodStart", 2 ** 40 + 1, 0, 2 ** 40);
        config = plainConfig();
        config.finalizeWithinS = 0;
        _notWithin(config, "finalizeWithinS", 0, 1, type(uint32).max);
        config = plainConfig();
        config.disputePeriodS = uint32(PERIOD_S / 2 - FINALIZE_S + 1);
        _notWithin(config, "disputePeriodS", PERIOD_S / 2 + 1, 0, PERIOD_S / 2);
        config = plainConfig();
        config.withdrawalDelayS = uint32(DELAY_S - 1);
        _notWithin(config, "withdrawalDelayS", DELAY_S - 1, DELAY_S, type(uint32).max);
    }

    function test_rules_fit_together() public {
        IEnergyMarket.Config memory config = plainConfig();
        config.auctionKBps = 10_001;
        _notWithin(config, "auctionKBps", 10_001, 0, 10_000);
        config = plainConfig();
        config.debitMaxWh = 0;
        _notWithin(config, "debitMaxWh", 0, 1, 10 ** 8);
        config.debitMaxWh = 10 ** 8 + 1;
        _notWithin(config, "debitMaxWh", 10 ** 8 + 1, 1, 10 ** 8);

        config = plainConfig();
        config.priceRule = IEnergyMarket.PriceRule.auction;
        config.volumeRule = IEnergyMarket.VolumeRule.priority;
        _notFounded(
            config,
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_AuctionNeedsProportional.selector, config.volumeRule
            )
        );
        for (uint8 rule = 0; rule < 5; ++rule) {
            config = plainConfig();
            config.volumeRule = IEnergyMarket.VolumeRule(rule);
            bool hasKeys = rule == 1 || rule == 4;
            config.keysHash = hasKeys ? bytes32(0) : keccak256("keys");
            _notFounded(
                config,
                abi.encodeWithSelector(
                    IEnergyMarket.EnergyMarket_WrongKeysHash.selector, rule, config.keysHash
                )
            );
            config.keysHash = hasKeys ? keccak256("keys") : bytes32(0);
            found(config);
        }
    }

    /* TARIFFS */

    function testFuzz_a_tariff_leaves_a_margin(uint32 gi, uint32 ge, uint32 fee, uint32 fixed_)
        public
    {
        (gi, ge, fee) = (gi % 200_000_000, ge % 200_000_000, fee % 200_000_000);
        IEnergyMarket.Tariff memory next = IEnergyMarket.Tariff(gi, ge, fee, fixed_ % 2);
        bool valid = gi <= 10 ** 8 && uint256(ge) + fee <= gi && next.fixedPerKwh == 0;
        vm.prank(owner);
        (bool done,) = address(market)
            .call(abi.encodeCall(market.announceTariff, (next, FIRST + 5 * PERIOD_S)));
        assertTrue(done == valid, "announced exactly if valid");
    }

    function test_a_fixed_price_lies_between_its_bounds() public {
        IEnergyMarket.Config memory config = plainConfig();
        config.priceRule = IEnergyMarket.PriceRule.fixedPrice;
        uint256 max = GRID_IMPORT - FEE;
        uint256[2] memory wrong = [uint256(GRID_EXPORT - 1), max + 1];
        for (uint256 i = 0; i < 2; ++i) {
            config.tariff.fixedPerKwh = uint32(wrong[i]);
            _notFounded(
                config,
                abi.encodeWithSelector(
                    IEnergyMarket.EnergyMarket_FixedOutOfBounds.selector, wrong[i], GRID_EXPORT, max
                )
            );
        }
        config.tariff.fixedPerKwh = 123_456;
        config.disputePeriodS = 0;
        found(config);
        vm.warp(FIRST + PERIOD_S);
        Run memory run = runOf(FIRST, 0, new int256[](ACCOUNTS));
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_PriceOutOfBounds.selector, 0, MID, 123_456, 123_456
            )
        );
        settle(run);
        run.prices = pricesOf(123_456);
        settle(run);
    }

    function testFuzz_any_other_rule_has_any_price_in_the_bounds(uint256 localPerKwh) public {
        IEnergyMarket.Config memory config = plainConfig();
        config.priceRule = IEnergyMarket.PriceRule.supplyDemandRatio;
        config.disputePeriodS = 0;
        found(config);
        vm.warp(FIRST + PERIOD_S);
        localPerKwh = bound(localPerKwh, GRID_EXPORT - 10, GRID_IMPORT - FEE + 10);
        Run memory run = runOf(FIRST, 0, new int256[](ACCOUNTS));
        run.prices = pricesOf(localPerKwh);
        bool valid = localPerKwh >= GRID_EXPORT && localPerKwh <= GRID_IMPORT - FEE;
        if (!valid) vm.expectPartialRevert(IEnergyMarket.EnergyMarket_PriceOutOfBounds.selector);
        settle(run);
    }

    function test_a_tariff_is_announced_waits_and_is_enacted() public {
        IEnergyMarket.Tariff memory next = _dearer();
        uint64 startsAt = FIRST + 5 * PERIOD_S;
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotOwner.selector, operator));
        vm.prank(operator);
        market.announceTariff(next, startsAt);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_TariffUnaligned.selector, startsAt + 1
            )
        );
        _announce(next, startsAt + 1);
        uint64 tooSoon = FIRST;
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_TariffTooSoon.selector, tooSoon, nowS() + DELAY_S
            )
        );
        _announce(next, tooSoon);
        uint64 beyond = uint64(2 ** 48) / PERIOD_S * PERIOD_S + PERIOD_S;
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_TariffUnaligned.selector, beyond));
        _announce(next, beyond);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NothingAnnounced.selector));
        market.enactTariff();

        _announce(next, startsAt);
        (IEnergyMarket.Tariff memory announced, uint64 start, uint64 since) =
            market.announcedTariff();
        assertEq(announced.gridImportPerKwh, next.gridImportPerKwh, "announced");
        assertTrue(start == startsAt && since == nowS(), "when");
        uint256 earliestAt = nowS() + DELAY_S;
        vm.warp(earliestAt - 1);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_TooEarly.selector, earliestAt));
        market.enactTariff();
        vm.warp(earliestAt);
        vm.prank(stranger);
        market.enactTariff();
        assertEq(market.tariffAt(startsAt - 1).gridImportPerKwh, GRID_IMPORT, "before");
        assertEq(market.tariffAt(startsAt).gridImportPerKwh, next.gridImportPerKwh, "from then on");

        uint64 earlier = startsAt - PERIOD_S;
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_TariffOutOfOrder.selector, earlier, startsAt
            )
        );
        _announce(next, earlier);
        _announce(tariff(), startsAt); // the same start: replaces it
        vm.warp(nowS() + DELAY_S);
        market.enactTariff();
        assertEq(market.tariffAt(startsAt).gridImportPerKwh, GRID_IMPORT, "replaced");
    }

    function test_a_tariff_never_reaches_a_period_that_was_proposed() public {
        uint64 startsAt = FIRST + 3 * PERIOD_S;
        _announce(_dearer(), startsAt);
        vm.warp(startsAt + PERIOD_S);
        for (uint64 i = 0; i < 3; ++i) {
            proposeAndFinalize(runOf(FIRST + i * PERIOD_S, 0, new int256[](ACCOUNTS)));
        }
        uint256 state = vm.snapshotState();
        market.enactTariff(); // the last moment
        vm.revertToState(state);

        Run memory run = runOf(startsAt, 0, new int256[](ACCOUNTS));
        propose(run);
        _tooLate(startsAt);
        vm.prank(operator);
        market.cancel();
        _tooLate(startsAt);
        propose(run);
        vm.warp(nowS() + DISPUTE_S + FINALIZE_S + 1);
        _tooLate(startsAt); // lapsed
        proposeAndFinalize(run);
        _tooLate(startsAt);
    }

    /* INTERNAL */

    function _dearer() private pure returns (IEnergyMarket.Tariff memory next) {
        next = tariff();
        next.gridImportPerKwh += 1_000;
    }

    function _announce(IEnergyMarket.Tariff memory next, uint64 startsAt) private {
        vm.prank(owner);
        market.announceTariff(next, startsAt);
    }

    function _tooLate(uint64 startsAt) private {
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_TariffTooLate.selector, startsAt, startsAt + PERIOD_S
            )
        );
        market.enactTariff();
    }

    function _notWithin(
        IEnergyMarket.Config memory config,
        bytes32 field,
        uint256 value,
        uint256 min,
        uint256 max
    ) private {
        _notFounded(
            config,
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_ConfigOutOfRange.selector, field, value, min, max
            )
        );
    }

    function _notFounded(IEnergyMarket.Config memory config, bytes memory reason) private {
        bytes memory code = bytes.concat(vm.getCode("EnergyMarket.sol"), abi.encode(config));
        refused(reason);
        assembly {
            pop(create(0, add(code, 32), mload(code)))
        }
    }
}
