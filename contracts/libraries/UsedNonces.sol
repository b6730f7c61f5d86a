// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../interfaces/IChargingEscrow.sol";

/// @title Nonces in any order, each used once: one bit for each, 256 to a word.
library UsedNonces {
    /* TYPES */

    struct Bits {
        mapping(address driver => mapping(uint256 word => uint256)) words;
    }

    /* FUNCTIONS */

    function isUsed(Bits storage used, address driver, uint256 nonce) internal view returns (bool) {
        return used.words[driver][nonce >> 8] & _bit(nonce) != 0;
    }

    function use(Bits storage used, address driver, uint256 nonce) internal {
        uint256 word = used.words[driver][nonce >> 8];
        if (word & _bit(nonce) != 0) {
            revert IChargingEscrow.ChargingEscrow_NonceUsed(driver, nonce);
        }
        used.words[driver][nonce >> 8] = word | _bit(nonce);
    }

    /* INTERNAL */

    function _bit(uint256 nonce) private pure returns (uint256) {
        return 1 << (nonce & 0xff);
    }
}
