// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IChargingEscrow} from "../interfaces/IChargingEscrow.sol";

/// @title Who signed what.
library Signatures {
    /* FUNCTIONS */

    /// @notice Signed by a key: 65 bytes, low s.
    function requireByKey(address signer, bytes32 digest, bytes calldata signature) internal pure {
        if (!_isByKey(signer, digest, signature)) {
            revert IChargingEscrow.ChargingEscrow_BadSignature(signer);
        }
    }

    /// @notice Signed by the key of an address, also where it has code (EIP-7702), or by its code
    /// (ERC-1271).
    function requireByAddress(address signer, bytes32 digest, bytes calldata signature)
        internal
        view
    {
        if (_isByKey(signer, digest, signature)) return;
        if (
            signer.code.length == 0
                || !SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature)
        ) revert IChargingEscrow.ChargingEscrow_BadSignature(signer);
    }

    /* INTERNAL */

    function _isByKey(address signer, bytes32 digest, bytes calldata signature)
        private
        pure
        returns (bool)
    {
        (address recovered, ECDSA.RecoverError failure,) =
            ECDSA.tryRecoverCalldata(digest, signature);
        return failure == ECDSA.RecoverError.NoError && recovered == signer;
    }
}
