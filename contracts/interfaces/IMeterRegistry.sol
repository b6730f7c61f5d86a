// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Which key speaks for which meter, and which account its energy belongs to, at every instant.
/// @notice The registrar is the grid operator, never the market's operator: that is what stands
/// against invented meters. A meter has a history of terms; a term is never rewritten, only ended,
/// and only at an instant that has not passed yet.
interface IMeterRegistry {
    /* TYPES */

    /// @dev certified: signs in its own hardware. gateway: a device at home signs for it. imported:
    /// whoever imported a file without signatures signed it.
    enum MeterClass {
        certified,
        gateway,
        imported
    }

    /// @notice One stretch of a meter's life: `[validFrom, validUntil)`.
    struct Term {
        address key; // signs the readings (EIP-712 MeterReading)
        uint32 account; // whose energy it is, in the market that uses this registry
        MeterClass class;
        uint64 limitW; // largest power that can flow, in W
        uint64 validFrom; // Unix seconds
        uint64 validUntil; // Unix seconds, exclusive; 2^64-1 while open
    }

    /* EVENTS */

    /// @notice A meter began a term. The term before it, if any was open, ended at `validFrom`.
    event TermBegan(
        bytes32 indexed meterId,
        uint32 indexed account,
        address indexed key,
        MeterClass class,
        uint64 limitW,
        uint64 validFrom
    );
    /// @notice A meter's last term was given an end.
    event TermEnded(bytes32 indexed meterId, uint64 validUntil);
    event RegistrarAnnounced(address indexed registrar);
    event RegistrarChanged(address indexed registrar);

    /* ERRORS */

    error MeterRegistry_ZeroRegistrar();
    error MeterRegistry_NotRegistrar(address caller);
    error MeterRegistry_NotAnnounced(address caller);
    error MeterRegistry_ZeroKey(bytes32 meterId);
    error MeterRegistry_ZeroMeter();
    error MeterRegistry_ReservedAccount(bytes32 meterId, uint32 account);
    error MeterRegistry_LimitOutOfRange(bytes32 meterId, uint64 limitW, uint64 limitWMax);
    error MeterRegistry_RewritesHistory(bytes32 meterId, uint64 validFrom, uint64 earliest);
    error MeterRegistry_UnknownMeter(bytes32 meterId);
    error MeterRegistry_NotOpen(bytes32 meterId, uint64 validUntil);

    /* FUNCTIONS */

    /// @notice Begins a term: registers a meter, rotates its key, moves it to another account, or
    /// changes its class or limit. An open term of the same meter ends where the new one begins.
    /// @dev Emits {TermBegan}.
    ///
    /// Requirements:
    /// - The caller must be the registrar.
    /// - The meter id and the key must not be zero.
    /// - The account must be a member's (2 or more).
    /// - The limit must be between 1 and 10^9 W.
    /// - A meter's first term may begin at any time; a later one neither before block time nor before
    ///   the beginning of an open term nor before the end of an ended one.
    ///
    /// @param meterId Random id, chosen when the meter is paired.
    /// @param key Address of the key that signs its readings.
    /// @param account Index in the market.
    /// @param class How its readings come to be signed.
    /// @param limitW Physical limit of its connection, in W.
    /// @param validFrom Unix seconds.
    function begin(
        bytes32 meterId,
        address key,
        uint32 account,
        MeterClass class,
        uint64 limitW,
        uint64 validFrom
    ) external;

    /// @notice Ends the open term of a meter: it is retired until a new term begins.
    /// @dev Emits {TermEnded}.
    ///
    /// Requirements:
    /// - The caller must be the registrar.
    /// - The meter must be known and its last term open.
    /// - The end must be after the term's beginning and not before block time.
    function end(bytes32 meterId, uint64 validUntil) external;

    /// @notice First step of handing the role on. Emits {RegistrarAnnounced}.
    /// Warning: the registrar decides whose energy counts.
    ///
    /// Requirements:
    /// - The caller must be the registrar.
    function announceRegistrar(address next) external;

    /// @notice Second step: the announced address takes the role. Emits {RegistrarChanged}.
    ///
    /// Requirements:
    /// - The caller must be the announced address.
    function acceptRegistrar() external;

    /// @notice The role that may begin and end terms.
    function registrar() external view returns (address);

    /// @notice All terms of a meter, oldest first.
    function termsOf(bytes32 meterId) external view returns (Term[] memory);
}
