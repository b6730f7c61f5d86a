// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../interfaces/IEnergyMarket.sol";

/// @title Tariffs in one word, and the price words of a run checked against them.
/// @notice A packed tariff is `fixed<<96 | fee<<64 | gridImport<<32 | gridExport`. Its low 96 bits
/// are the low 96 bits of every price word that was made with it.
library Tariffs {
    /* CONSTANTS */

    uint256 internal constant PRICE_PER_KWH_MAX = 10 ** 8;

    uint256 private constant FIELD_MASK = 2 ** 32 - 1;
    uint256 private constant TARIFF_MASK = 2 ** 96 - 1;

    /* FUNCTIONS */

    function pack(IEnergyMarket.Tariff memory tariff) internal pure returns (uint128) {
        return uint128(tariff.fixedPerKwh) << 96 | uint128(tariff.localFeePerKwh) << 64
            | uint128(tariff.gridImportPerKwh) << 32 | tariff.gridExportPerKwh;
    }

    function unpack(uint256 packed) internal pure returns (IEnergyMarket.Tariff memory) {
        // Each cast keeps one 32-bit field.
        return IEnergyMarket.Tariff({
            gridImportPerKwh: uint32(packed >> 32),
            gridExportPerKwh: uint32(packed),
            localFeePerKwh: uint32(packed >> 64),
            fixedPerKwh: uint32(packed >> 96)
        });
    }

    function gridImportPerKwh(uint256 packed) internal pure returns (uint256) {
        return (packed >> 32) & FIELD_MASK;
    }

    /// @notice Refuses a tariff that a community with this price rule cannot have.
    function requireValid(IEnergyMarket.Tariff memory tariff, IEnergyMarket.PriceRule rule)
        internal
        pure
    {
        // Grid export and fee are bounded by grid import, a fixed price by its bounds.
        if (tariff.gridImportPerKwh > PRICE_PER_KWH_MAX) {
            revert IEnergyMarket.EnergyMarket_PriceTooHigh(
                tariff.gridImportPerKwh, PRICE_PER_KWH_MAX
            );
        }
        uint256 minPerKwh = tariff.gridExportPerKwh;
        uint256 feePerKwh = tariff.localFeePerKwh;
        if (minPerKwh + feePerKwh > tariff.gridImportPerKwh) {
            revert IEnergyMarket.EnergyMarket_NoMargin(
                minPerKwh, feePerKwh, tariff.gridImportPerKwh
            );
        }
        uint256 maxPerKwh = tariff.gridImportPerKwh - feePerKwh;
        if (rule != IEnergyMarket.PriceRule.fixedPrice) (minPerKwh, maxPerKwh) = (0, 0);
        if (tariff.fixedPerKwh < minPerKwh || tariff.fixedPerKwh > maxPerKwh) {
            revert IEnergyMarket.EnergyMarket_FixedOutOfBounds(
                tariff.fixedPerKwh, minPerKwh, maxPerKwh
            );
        }
    }

    /// @notice Refuses price words that the tariff and the rule do not allow.
    /// @param prices One word a window: local<<96 | fee<<64 | gridImport<<32 | gridExport.
    /// @param packed The tariff in force at the period's start.
    /// @return pricesHash keccak256 of the words.
    function requirePrices(
        uint256[] calldata prices,
        uint256 periodWindows,
        uint256 packed,
        IEnergyMarket.PriceRule rule
    ) internal pure returns (bytes32 pricesHash) {
        if (prices.length != periodWindows) {
            revert IEnergyMarket.EnergyMarket_WrongPriceCount(prices.length, periodWindows);
        }
        (uint256 minPerKwh, uint256 maxPerKwh) = _bounds(packed, rule);
        unchecked {
            for (uint256 i = 0; i < periodWindows; ++i) {
                uint256 word = prices[i];
                if ((word ^ packed) & TARIFF_MASK != 0) {
                    revert IEnergyMarket.EnergyMarket_WrongTariff(i, word, packed & TARIFF_MASK);
                }
                // The bits above the local price are part of it here, so they must be zero.
                uint256 localPerKwh = word >> 96;
                if (localPerKwh < minPerKwh || localPerKwh > maxPerKwh) {
                    revert IEnergyMarket.EnergyMarket_PriceOutOfBounds(
                        i, localPerKwh, minPerKwh, maxPerKwh
                    );
                }
            }
        }
        return keccak256(abi.encodePacked(prices));
    }

    /* INTERNAL */

    /// @dev The prices a rule allows; one only for those that depend on nothing but the tariff.
    function _bounds(uint256 packed, IEnergyMarket.PriceRule rule)
        private
        pure
        returns (uint256 minPerKwh, uint256 maxPerKwh)
    {
        minPerKwh = packed & FIELD_MASK;
        maxPerKwh = gridImportPerKwh(packed) - ((packed >> 64) & FIELD_MASK);
        if (rule == IEnergyMarket.PriceRule.midMarket) {
            minPerKwh = (minPerKwh + maxPerKwh) / 2; // rounded down
            maxPerKwh = minPerKwh;
        } else if (rule == IEnergyMarket.PriceRule.fixedPrice) {
            minPerKwh = packed >> 96;
            maxPerKwh = minPerKwh;
        }
    }
}
