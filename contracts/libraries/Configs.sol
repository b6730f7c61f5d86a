// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IEnergyMarket} from "../interfaces/IEnergyMarket.sol";
import {Tariffs} from "./Tariffs.sol";

/// @title What a community may be created with. Checked in the constructor only.
library Configs {
    /* CONSTANTS */

    uint256 internal constant PERIOD_WINDOWS_MAX = 96;
    uint256 internal constant DEBIT_WH_MAX = 10 ** 8;
    uint256 internal constant WORDS = 24; // of an encoded config
    uint256 internal constant BPS = 10_000;
    uint8 internal constant TOKEN_DECIMALS = 6;

    /// @dev Keeps every instant far below 2^48, in which storage keeps it.
    uint256 internal constant START_MAX = 2 ** 40;

    /* FUNCTIONS */

    /// @notice Refuses a community that breaks a rule of {IEnergyMarket-Config}.
    function requireValid(IEnergyMarket.Config memory config) internal view {
        _requireParties(config);
        _requireTimes(config);
        _requireRules(config);
        Tariffs.requireValid(config.tariff, config.priceRule);
    }

    /// @notice A config as its ABI encoding: one word a field, all of them of fixed size.
    function encode(IEnergyMarket.Config memory config)
        internal
        pure
        returns (uint256[WORDS] memory)
    {
        return abi.decode(abi.encode(config), (uint256[24]));
    }

    /// @notice Ends the call with an encoded config as its answer. Taking it apart and putting it
    /// together again would cost half a kilobyte of code.
    function answer(uint256[WORDS] storage words) internal view {
        assembly ("memory-safe") {
            let free := mload(0x40)
            for { let i := 0 } lt(i, WORDS) { i := add(i, 1) } {
                mstore(add(free, shl(5, i)), sload(add(words.slot, i)))
            }
            return(free, shl(5, WORDS))
        }
    }

    /* INTERNAL */

    function _requireParties(IEnergyMarket.Config memory config) private view {
        bool complete = config.token != address(0) && config.registry != address(0)
            && config.owner != address(0) && config.operator != address(0)
            && config.supplier != address(0) && config.gridOperator != address(0);
        if (!complete) revert IEnergyMarket.EnergyMarket_ZeroAddress();
        uint8 decimals = IERC20Metadata(config.token).decimals();
        _requireWithin("token", decimals, TOKEN_DECIMALS, TOKEN_DECIMALS);
    }

    function _requireTimes(IEnergyMarket.Config memory config) private pure {
        _requireWithin("periodWindows", config.periodWindows, 1, PERIOD_WINDOWS_MAX);
        _requireWithin("windowS", config.windowS, 1, type(uint32).max);

        uint256 periodS = uint256(config.windowS) * config.periodWindows;
        _requireWithin("firstPeriodStart", config.firstPeriodStart, 0, START_MAX);
        _requireWithin("firstPeriodStart", config.firstPeriodStart % periodS, 0, 0);

        // A revision fits between two periods.
        uint256 minS = config.disputePeriodS > 0 ? 1 : 0;
        _requireWithin("finalizeWithinS", config.finalizeWithinS, minS, type(uint32).max);
        uint256 pendingS = uint256(config.disputePeriodS) + config.finalizeWithinS;
        _requireWithin("disputePeriodS", pendingS, 0, periodS / 2);

        // Nobody leaves the bill of a period that has begun behind.
        minS = periodS + config.graceS + pendingS;
        _requireWithin("withdrawalDelayS", config.withdrawalDelayS, minS, type(uint32).max);
    }

    function _requireRules(IEnergyMarket.Config memory config) private pure {
        _requireWithin("auctionKBps", config.auctionKBps, 0, BPS);
        _requireWithin("debitMaxWh", config.debitMaxWh, 1, DEBIT_WH_MAX);

        IEnergyMarket.VolumeRule rule = config.volumeRule;
        if (
            config.priceRule == IEnergyMarket.PriceRule.auction
                && rule != IEnergyMarket.VolumeRule.proportional
        ) revert IEnergyMarket.EnergyMarket_AuctionNeedsProportional(rule);

        bool hasKeys = rule == IEnergyMarket.VolumeRule.staticKeys
            || rule == IEnergyMarket.VolumeRule.priority;
        if (hasKeys == (config.keysHash == 0)) {
            revert IEnergyMarket.EnergyMarket_WrongKeysHash(rule, config.keysHash);
        }
    }

    function _requireWithin(bytes32 field, uint256 value, uint256 min, uint256 max) private pure {
        if (value < min || value > max) {
            revert IEnergyMarket.EnergyMarket_ConfigOutOfRange(field, value, min, max);
        }
    }
}
