// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IMeterRegistry} from "./interfaces/IMeterRegistry.sol";

/// @title The registry of one community's meters.
/// @dev It is an EIP-712 domain too: meters sign `MeterReading` for it. Readings are checked off the
/// chain; nothing here reads one.
contract MeterRegistry is IMeterRegistry, EIP712 {
    /* CONSTANTS */

    uint64 private constant OPEN = type(uint64).max;
    uint64 private constant LIMIT_W_MAX = 10 ** 9;
    uint32 private constant FIRST_MEMBER = 2;

    /* STORAGE */

    /// @inheritdoc IMeterRegistry
    address public registrar;
    address private _announced;
    mapping(bytes32 meterId => Term[] terms) private _terms;

    /* CONSTRUCTOR */

    constructor(address registrar_) EIP712("Wattledger", "1") {
        if (registrar_ == address(0)) revert MeterRegistry_ZeroRegistrar();
        registrar = registrar_;
        emit RegistrarChanged(registrar_);
    }

    /* MODIFIERS */

    modifier onlyRegistrar() {
        if (msg.sender != registrar) revert MeterRegistry_NotRegistrar(msg.sender);
        _;
    }

    /* EXTERNAL */

    /// @inheritdoc IMeterRegistry
    function begin(
        bytes32 meterId,
        address key,
        uint32 account,
        MeterClass class,
        uint64 limitW,
        uint64 validFrom
    ) external onlyRegistrar {
        // Check.
        if (meterId == 0) revert MeterRegistry_ZeroMeter();
        if (key == address(0)) revert MeterRegistry_ZeroKey(meterId);
        if (account < FIRST_MEMBER) revert MeterRegistry_ReservedAccount(meterId, account);
        if (limitW == 0 || limitW > LIMIT_W_MAX) {
            revert MeterRegistry_LimitOutOfRange(meterId, limitW, LIMIT_W_MAX);
        }

        // Effects: an open term ends where the new one begins.
        Term[] storage terms = _terms[meterId];
        if (terms.length > 0) {
            Term storage last = terms[terms.length - 1];
            bool open = last.validUntil == OPEN;
            _requireNoRewrite(meterId, validFrom, open ? last.validFrom : last.validUntil);
            if (open) last.validUntil = validFrom;
        }
        terms.push(
            Term({
                key: key,
                account: account,
                class: class,
                limitW: limitW,
                validFrom: validFrom,
                validUntil: OPEN
            })
        );
        emit TermBegan(meterId, account, key, class, limitW, validFrom);
    }

    /// @inheritdoc IMeterRegistry
    function end(bytes32 meterId, uint64 validUntil) external onlyRegistrar {
        Term[] storage terms = _terms[meterId];

        // Check.
        if (terms.length == 0) revert MeterRegistry_UnknownMeter(meterId);
        Term storage last = terms[terms.length - 1];
        if (last.validUntil != OPEN) revert MeterRegistry_NotOpen(meterId, last.validUntil);
        _requireNoRewrite(meterId, validUntil, uint256(last.validFrom) + 1);

        // Effects.
        last.validUntil = validUntil;
        emit TermEnded(meterId, validUntil);
    }

    /// @inheritdoc IMeterRegistry
    function announceRegistrar(address next) external onlyRegistrar {
        _announced = next;
        emit RegistrarAnnounced(next);
    }

    /// @inheritdoc IMeterRegistry
    function acceptRegistrar() external {
        if (msg.sender != _announced) revert MeterRegistry_NotAnnounced(msg.sender);
        registrar = msg.sender;
        delete _announced;
        emit RegistrarChanged(msg.sender);
    }

    /* VIEW */

    /// @inheritdoc IMeterRegistry
    function termsOf(bytes32 meterId) external view returns (Term[] memory) {
        return _terms[meterId];
    }

    /* INTERNAL */

    /// @dev A change takes effect now or later, and never reaches into what was said before.
    function _requireNoRewrite(bytes32 meterId, uint64 at, uint256 earliest) private view {
        if (earliest < block.timestamp) earliest = block.timestamp;
        if (at < earliest || at == OPEN) {
            revert MeterRegistry_RewritesHistory(meterId, at, uint64(earliest));
        }
    }
}
