// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../interfaces/IEnergyMarket.sol";

/// @title Owner and operator, both handed on in two steps, the operator with a delay.
library Roles {
    /* TYPES */

    struct Roster {
        address owner;
        address nextOwner; // zero: none announced
        address operator;
        address nextOperator; // slot 3; zero: none announced
        uint64 operatorAnnouncedAt; // slot 3
    }

    /* FUNCTIONS */

    function requireOwner(Roster storage roster) internal view {
        if (msg.sender != roster.owner) revert IEnergyMarket.EnergyMarket_NotOwner(msg.sender);
    }

    function requireOperator(Roster storage roster) internal view {
        if (msg.sender != roster.operator) {
            revert IEnergyMarket.EnergyMarket_NotOperator(msg.sender);
        }
    }

    function start(Roster storage roster, address owner, address operator) internal {
        roster.owner = owner;
        roster.operator = operator;
        emit IEnergyMarket.OwnerChanged(owner);
        emit IEnergyMarket.OperatorChanged(operator);
    }

    function announceOwner(Roster storage roster, address next) internal {
        requireOwner(roster);
        roster.nextOwner = next;
        emit IEnergyMarket.OwnerAnnounced(next);
    }

    function acceptOwner(Roster storage roster) internal {
        if (msg.sender != roster.nextOwner) {
            revert IEnergyMarket.EnergyMarket_NotAnnounced(msg.sender);
        }
        roster.owner = msg.sender;
        roster.nextOwner = address(0);
        emit IEnergyMarket.OwnerChanged(msg.sender);
    }

    function announceOperator(Roster storage roster, address next) internal {
        requireOwner(roster);
        roster.nextOperator = next;
        roster.operatorAnnouncedAt = uint64(block.timestamp);
        emit IEnergyMarket.OperatorAnnounced(next);
    }

    function acceptOperator(Roster storage roster, uint256 delayS) internal {
        // Check.
        if (msg.sender != roster.nextOperator) {
            revert IEnergyMarket.EnergyMarket_NotAnnounced(msg.sender);
        }
        uint256 earliestAt = roster.operatorAnnouncedAt + delayS;
        if (block.timestamp < earliestAt) revert IEnergyMarket.EnergyMarket_TooEarly(earliestAt);

        // Effects.
        roster.operator = msg.sender;
        roster.nextOperator = address(0);
        roster.operatorAnnouncedAt = 0;
        emit IEnergyMarket.OperatorChanged(msg.sender);
    }
}
