// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A driver's deposit for one charge: what the meter measured is paid, the rest goes back.
/// @notice The driver signs a `ChargeOrder` and needs no gas; the charger's host opens it, so both
/// sides start a session and a stranger cannot block a charger. `close` verifies the signed
/// `ChargeRecord`, credits the host and returns the rest to the driver in the same transaction.
/// @dev A session is one hash in its charger's slot, over what counted when it was opened: order,
/// host, record key, power, time, deposit. Whoever acts on it gives these again ({Session}); they are
/// all in {SessionOpened} and {ToppedUp}. A charger has one open session at a time.
///
/// Amounts are micro-tokens (base units). For every session deposit = paid + refunded, exactly.
interface IChargingEscrow {
    /* TYPES */

    /// @notice Prices in micro-tokens, VAT included.
    struct Tariff {
        uint64 energyPerKwh;
        uint64 startFee;
        uint64 timePerHour; // while charging
        uint64 idlePerHour; // while plugged in without charging
    }

    /// @notice EIP-712 typed data that the driver signs.
    struct ChargeOrder {
        address driver;
        bytes32 chargerId; // keccak256(bytes(chargePointId + "/" + connectorId))
        uint64 depositMicro; // what is taken, exactly
        Tariff tariff;
        uint64 validUntil; // last second in which it can be opened
        uint256 nonce; // unordered, one use for each driver; shared with {TopUp}
    }

    /// @notice A session as it was opened; its hash is what the charger's slot holds.
    struct Session {
        ChargeOrder order;
        address host; // who is paid
        address recordKey; // whose record counts
        uint64 powerW; // largest power that the charger gives
        uint64 openedAt; // block time of {open}
        uint64 depositMicro; // the order's, and every top-up since
    }

    /// @notice EIP-712 typed data that the charger's record key signs when the charge has stopped.
    struct ChargeRecord {
        bytes32 sessionId; // EIP-712 digest of the ChargeOrder
        uint64 startWh; // the charger's register
        uint64 stopWh;
        uint64 startedAt;
        uint64 stoppedAt;
        uint64 idleS; // of the time between the two
        bytes32 evidenceHash; // of the signed meter values; else of the values used; else zero
    }

    /// @notice EIP-712 typed data that the driver signs to add to the deposit.
    struct TopUp {
        bytes32 sessionId;
        uint64 addMicro;
        uint256 nonce;
    }

    /// @notice ERC-2612 permit of the driver for exactly the amount that is taken; with an empty
    /// signature the allowance alone must suffice.
    struct Permit {
        uint256 deadline;
        bytes signature;
    }

    /// @notice One session to close.
    struct Closing {
        Session session;
        ChargeRecord record;
        bytes signature; // by the session's record key
    }

    /// @notice A charger as it is registered now.
    struct Charger {
        address host;
        address recordKey;
        uint64 powerW;
        uint64 lastWh; // register at the end of the last closed session, or as it was reset
        uint64 creditMicro; // earned by the host, not paid out yet
        bytes32 session; // hash of the open {Session}; zero while the charger is free
    }

    /* EVENTS */

    /// @notice With {ToppedUp} everything that a {Session} consists of.
    event SessionOpened(
        bytes32 indexed sessionId,
        bytes32 indexed chargerId,
        address indexed driver,
        uint64 depositMicro,
        Tariff tariff,
        uint64 validUntil,
        uint256 nonce,
        address host,
        address recordKey,
        uint64 powerW
    );
    event ToppedUp(bytes32 indexed sessionId, uint64 addMicro, uint64 depositMicro, uint256 nonce);
    /// @notice What was paid is the host's credit at the charger; if the session's host is not the
    /// charger's any more, or the credit would not fit, an {Owed} of the amount says so.
    event SessionClosed(
        bytes32 indexed sessionId,
        bytes32 indexed chargerId,
        uint64 startWh,
        uint64 stopWh,
        uint64 paidMicro,
        uint64 refundedMicro,
        bytes32 evidenceHash
    );
    /// @notice A session in {closeMany} that was not open any more, or too old; the others went on.
    event CloseSkipped(bytes32 indexed sessionId);
    event SessionCancelled(
        bytes32 indexed sessionId, bytes32 indexed chargerId, uint64 refundedMicro
    );
    event SessionReclaimed(
        bytes32 indexed sessionId, bytes32 indexed chargerId, uint64 refundedMicro
    );
    /// @notice What could not be pushed, or was earned at a charger that has another host now, waits
    /// for {claim}.
    event Owed(address indexed owed, uint64 amountMicro);
    event Claimed(address indexed owed, address indexed to, uint256 amountMicro);
    event HostPaid(bytes32 indexed chargerId, address indexed host, uint64 amountMicro);
    event NonceVoided(address indexed driver, uint256 nonce);
    event DelegateSet(address indexed host, address indexed delegate, bool allowed);
    /// @notice A charger is new, or has changed; the last one counts for what is opened after it.
    event ChargerRegistered(
        bytes32 indexed chargerId, address indexed host, address indexed recordKey, uint64 powerW
    );
    event RegisterReset(bytes32 indexed chargerId, uint64 fromWh, uint64 toWh);

    /* ERRORS */

    // Creation and registration.
    error ChargingEscrow_ZeroAddress();
    error ChargingEscrow_WrongDecimals(uint8 decimals, uint8 expected);
    error ChargingEscrow_NotRegistrar(address caller);
    error ChargingEscrow_UnknownCharger(bytes32 chargerId);
    error ChargingEscrow_ChargerKnown(bytes32 chargerId);
    error ChargingEscrow_ChargerBusy(bytes32 chargerId);
    error ChargingEscrow_PowerOutOfRange(uint64 powerW, uint64 powerWMax);
    error ChargingEscrow_RegisterOutOfRange(uint64 registerWh, uint64 registerWhMax);

    // Opening and topping up.
    error ChargingEscrow_NotHost(bytes32 chargerId, address caller);
    error ChargingEscrow_OrderExpired(uint64 validUntil);
    error ChargingEscrow_ZeroDeposit();
    error ChargingEscrow_DepositTooLarge(uint256 depositMicro, uint256 maxMicro);
    error ChargingEscrow_NonceUsed(address driver, uint256 nonce);
    error ChargingEscrow_BadSignature(address signer);
    error ChargingEscrow_WrongTransfer(uint256 expectedMicro, uint256 foundMicro);
    error ChargingEscrow_SessionOver(bytes32 sessionId, uint256 endedAt);

    // Ending.
    error ChargingEscrow_NotOpen(bytes32 sessionId);
    error ChargingEscrow_WrongSession(bytes32 sessionId, bytes32 signedSessionId);
    error ChargingEscrow_TooManyClosings(uint256 count, uint256 max);
    error ChargingEscrow_NotDriver(address driver, address caller);
    error ChargingEscrow_TooLate(bytes32 sessionId, uint256 closableUntil);
    error ChargingEscrow_TooEarly(bytes32 sessionId, uint256 reclaimableFrom);
    error ChargingEscrow_StartsBeforeOpening(uint64 startedAt, uint256 earliest);
    error ChargingEscrow_StopsBeforeStart(uint64 startedAt, uint64 stoppedAt);
    /// @dev After block time, or more than a day after the opening.
    error ChargingEscrow_StopsTooLate(uint64 stoppedAt, uint256 latest);
    error ChargingEscrow_IdleTooLong(uint64 idleS, uint64 durationS);
    error ChargingEscrow_RegisterRanBackwards(uint64 earlierWh, uint64 laterWh);
    error ChargingEscrow_MoreThanPower(uint64 energyWh, uint256 energyWhMax);

    // Paying out.
    error ChargingEscrow_NotEnoughGas(uint256 neededGas, uint256 foundGas);
    error ChargingEscrow_NothingOwed();
    error ChargingEscrow_BadRecipient(address to);

    /* SESSIONS */

    /// @notice Opens a session: takes the driver's deposit and keeps the charger for it.
    /// @dev Emits {SessionOpened}. What is registered for the charger now counts for the whole session.
    ///
    /// Requirements:
    /// - The charger must be registered.
    /// - The caller must be its host, or a delegate of its host.
    /// - It must have no open session.
    /// - Block time must be at most `validUntil`.
    /// - The deposit must not be zero.
    /// - The nonce must not have been used or voided.
    /// - The signature must be the driver's: ECDSA with low s, or ERC-1271 where the driver has code.
    /// - The contract's token balance must rise by exactly the deposit; allowance or permit must suffice.
    ///
    /// @param permit A permit that somebody else already brought to the token is no obstacle.
    /// @return sessionId The order's EIP-712 digest.
    function open(ChargeOrder calldata order, bytes calldata signature, Permit calldata permit)
        external
        returns (bytes32 sessionId);

    /// @notice Adds to a session's deposit; anyone relays it. Emits {ToppedUp}.
    /// @dev The {Session} to give from now on has the new deposit.
    ///
    /// Requirements:
    /// - The session must be open, as it is given.
    /// - The message must name this session.
    /// - Block time must be at most a day after the opening.
    /// - The amount must not be zero.
    /// - The new deposit must be below 2^64.
    /// - Nonce, signature and transfer as in {open}.
    function topUp(
        Session calldata session,
        TopUp calldata addition,
        bytes calldata signature,
        Permit calldata permit
    ) external;

    /// @notice Ends a session with its record: credits the host, refunds the driver. Anyone brings it.
    /// @dev Emits {SessionClosed}, and {Owed} for what cannot be pushed. The cost is {costMicro}'s,
    /// rounded down once; paid + refunded = deposit. The refund is pushed with at most 100,000 gas, so
    /// the transaction needs about that much more than it uses.
    ///
    /// Requirements:
    /// - The session must be open, as it is given.
    /// - Block time must be at most four days after the opening.
    /// - The record must name this session.
    /// - The signature must be the session's record key's: ECDSA with low s.
    /// - It must start at most 300 s before the opening,
    /// - stop at or after its start,
    /// - stop at most at block time, and at most a day after the opening,
    /// - and idle at most as long as it lasts.
    /// - The start register must be at least the charger's last one,
    /// - the stop register at least the start register,
    /// - and at most 10^12 Wh.
    /// - The energy must be at most power * duration / 3600 (rounded down) + 100 Wh.
    /// - Enough gas must be left for the push.
    function close(Closing calldata closing)
        external
        returns (uint64 paidMicro, uint64 refundedMicro);

    /// @notice Ends many sessions. Emits {SessionClosed} or {CloseSkipped} for each.
    /// @dev One that is not open as given, or too old, is skipped, so that nobody makes a batch fail by
    /// ending one of its sessions first. Whatever else is wrong with one makes the batch fail.
    ///
    /// Requirements: for each that is not skipped as {close}, and
    /// - At most 64.
    function closeMany(Closing[] calldata closings) external;

    /// @notice Ends a session with a full refund. Emits {SessionCancelled}.
    ///
    /// Requirements:
    /// - The session must be open, as it is given.
    /// - The caller must be the session's host, the charger's present host, or a delegate of either.
    /// - Enough gas must be left for the push.
    function cancel(Session calldata session) external;

    /// @notice Ends a session that nobody closed with a full refund. Emits {SessionReclaimed}.
    ///
    /// Requirements:
    /// - The session must be open, as it is given.
    /// - The caller must be the driver.
    /// - Block time must be more than four days after the opening.
    /// - Enough gas must be left for the push.
    function reclaim(Session calldata session) external;

    /// @notice Makes a nonce of the caller unusable, and with it the order that has it. Emits {NonceVoided}.
    ///
    /// Requirements:
    /// - The nonce must not have been used or voided.
    function voidNonce(uint256 nonce) external;

    /* PAYING OUT */

    /// @notice Pays a charger's credit to its host; anyone may call. Emits {HostPaid}.
    ///
    /// Requirements:
    /// - The credit must not be zero.
    /// - The token must take the transfer.
    function payHost(bytes32 chargerId) external returns (uint64 amountMicro);

    /// @notice Pays somebody what could not be pushed; anyone may call. Emits {Claimed}.
    ///
    /// Requirements:
    /// - Something must be owed to that address.
    /// - The token must take the transfer.
    function claim(address owed) external returns (uint256 amountMicro);

    /// @notice Pays what is owed to the caller to another address: for a wallet that the token refuses.
    /// Emits {Claimed}.
    ///
    /// Requirements:
    /// - Something must be owed to the caller.
    /// - The recipient must be neither zero nor this contract.
    /// - The token must take the transfer.
    function claimTo(address to) external returns (uint256 amountMicro);

    /* HOSTS AND REGISTRAR */

    /// @notice Lets somebody open and cancel sessions for the caller's chargers, or no longer. Emits
    /// {DelegateSet}. A delegate moves no money but back to drivers.
    function setDelegate(address delegate, bool allowed) external;

    /// @notice Registers a charger. Emits {ChargerRegistered} and {RegisterReset}.
    /// Warning: the host says, by the record key, what was charged, within the bounds of {close}.
    ///
    /// Requirements:
    /// - The caller must be the registry's registrar.
    /// - The charger must not be registered.
    /// - Neither host nor record key may be zero.
    /// - The power must be between 1 and 10^7 W.
    /// - The register must be at most 10^12 Wh.
    /// @param recordKey Address of the key that signs its records.
    /// @param powerW Largest power that it gives, in W.
    /// @param lastWh Its register now, in Wh.
    function register(
        bytes32 chargerId,
        address host,
        address recordKey,
        uint64 powerW,
        uint64 lastWh
    ) external;

    /// @notice Changes host, record key or power. Emits {ChargerRegistered}, and {Owed} for the credit
    /// of a host that is replaced: it stays that host's.
    /// @dev A session that is open goes on as it was opened; the new host may cancel it.
    /// Warning: the registrar decides whose charger it is from now on, and so who may cancel.
    ///
    /// Requirements:
    /// - The caller must be the registry's registrar.
    /// - The charger must be registered.
    /// - Host, record key and power as in {register}.
    function change(bytes32 chargerId, address host, address recordKey, uint64 powerW) external;

    /// @notice Sets a charger's last register: its meter was swapped, or a record was wrong. Emits
    /// {RegisterReset}.
    /// Warning: records bill from the new register on.
    ///
    /// Requirements:
    /// - The caller must be the registry's registrar.
    /// - The charger must be registered.
    /// - It must have no open session.
    /// - The register must be at most 10^12 Wh.
    function resetRegister(bytes32 chargerId, uint64 toWh) external;

    /* VIEWS */

    function token() external view returns (address);
    function registry() external view returns (address);
    /// @notice All zero for a charger that is not registered.
    function chargerOf(bytes32 chargerId) external view returns (Charger memory);
    /// @notice The order's EIP-712 digest, whether it was opened or not.
    function sessionIdOf(ChargeOrder calldata order) external view returns (bytes32);
    /// @notice keccak256(abi.encode(sessionId, host, recordKey, powerW, openedAt, depositMicro)), of types
    /// (bytes32, address, address, uint64, uint64, uint64): what {Charger} has while it is open.
    function sessionHashOf(Session calldata session) external view returns (bytes32);
    function isNonceUsed(address driver, uint256 nonce) external view returns (bool);
    /// @return In micro.
    function claimableOf(address owed) external view returns (uint256);
    function isDelegate(address host, address delegate) external view returns (bool);
    /// @notice What a charge costs: startFee + (energyWh*energyPerKwh*3600 + (timeS*timePerHour +
    /// idleS*idlePerHour)*1000) / 3_600_000, rounded down, at most the deposit.
    /// @param timeS Time without idling: stoppedAt - startedAt - idleS.
    function costMicro(
        Tariff calldata tariff,
        uint64 energyWh,
        uint64 timeS,
        uint64 idleS,
        uint64 depositMicro
    ) external pure returns (uint64);
}
