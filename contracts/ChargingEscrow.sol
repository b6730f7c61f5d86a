// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IChargingEscrow} from "./interfaces/IChargingEscrow.sol";
import {IMeterRegistry} from "./interfaces/IMeterRegistry.sol";
import {ChargeBounds} from "./libraries/ChargeBounds.sol";
import {ChargePrice} from "./libraries/ChargePrice.sol";
import {ChargeTypes} from "./libraries/ChargeTypes.sol";
import {Chargers} from "./libraries/Chargers.sol";
import {Push} from "./libraries/Push.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {UsedNonces} from "./libraries/UsedNonces.sol";

/// @title Drivers' deposits, from opening to refund.
/// @dev Specified in contracts/README.md and, function by function, in {IChargingEscrow}. It holds what
/// open sessions have deposited, hosts' credits, and what waits to be claimed: no more, and no less.
contract ChargingEscrow is IChargingEscrow, EIP712, ReentrancyGuardTransient {
    using ChargeTypes for ChargeOrder;
    using ChargeTypes for ChargeRecord;
    using ChargeTypes for TopUp;
    using Chargers for Chargers.State;
    using SafeERC20 for IERC20;
    using UsedNonces for UsedNonces.Bits;

    /* CONSTANTS */

    uint256 private constant CLOSINGS_MAX = 64;
    uint8 private constant TOKEN_DECIMALS = 6;

    IERC20 private immutable TOKEN;
    IMeterRegistry private immutable REGISTRY;

    /* STORAGE */

    mapping(bytes32 chargerId => Chargers.State) private _chargers;
    UsedNonces.Bits private _nonces;
    mapping(address host => mapping(address delegate => bool)) private _delegates;
    mapping(address owed => uint256) private _claimable; // in micro

    /* CONSTRUCTOR */

    constructor(address token_, address registry_) EIP712("Wattledger", "1") {
        uint8 decimals = IERC20Metadata(token_).decimals();
        if (decimals != TOKEN_DECIMALS) {
            revert ChargingEscrow_WrongDecimals(decimals, TOKEN_DECIMALS);
        }
        if (IMeterRegistry(registry_).registrar() == address(0)) {
            revert ChargingEscrow_ZeroAddress();
        }
        TOKEN = IERC20(token_);
        REGISTRY = IMeterRegistry(registry_);
    }

    /* MODIFIERS */

    /// @dev Asked each time: the registry hands the role on. No session depends on the answer.
    modifier onlyRegistrar() {
        if (msg.sender != REGISTRY.registrar()) revert ChargingEscrow_NotRegistrar(msg.sender);
        _;
    }

    /* EXTERNAL: SESSIONS */

    /// @inheritdoc IChargingEscrow
    function open(ChargeOrder calldata order, bytes calldata signature, Permit calldata permit)
        external
        nonReentrant
        returns (bytes32 sessionId)
    {
        Chargers.State storage charger = _chargers[order.chargerId];

        // Check: both sides want this session.
        address host = charger.known(order.chargerId);
        if (!_actsFor(host)) revert ChargingEscrow_NotHost(order.chargerId, msg.sender);
        charger.requireFree(order.chargerId);
        if (block.timestamp > order.validUntil) {
            revert ChargingEscrow_OrderExpired(order.validUntil);
        }
        if (order.depositMicro == 0) revert ChargingEscrow_ZeroDeposit();
        sessionId = _sessionId(order);
        Signatures.requireByAddress(order.driver, sessionId, signature);

        // Effects. Whatever is registered for the charger later, this is what counts. Block time fits
        // into 64 bits for some 10^11 years.
        _nonces.use(order.driver, order.nonce);
        (address recordKey, uint64 powerW) = (charger.recordKey, charger.powerW);
        charger.session = ChargeTypes.sessionHash(
            sessionId, host, recordKey, powerW, uint64(block.timestamp), order.depositMicro
        );
        emit SessionOpened(
            sessionId,
            order.chargerId,
            order.driver,
            order.depositMicro,
            order.tariff,
            order.validUntil,
            order.nonce,
            host,
            recordKey,
            powerW
        );

        // Interactions.
        _take(order.driver, order.depositMicro, permit);
    }

    /// @inheritdoc IChargingEscrow
    function topUp(
        Session calldata session,
        TopUp calldata addition,
        bytes calldata signature,
        Permit calldata permit
    ) external nonReentrant {
        address driver = session.order.driver;

        // Check.
        (bytes32 sessionId, Chargers.State storage charger) = _requireOpen(session);
        if (addition.sessionId != sessionId) {
            revert ChargingEscrow_WrongSession(sessionId, addition.sessionId);
        }
        uint256 endedAt = session.openedAt + ChargeBounds.SESSION_S_MAX;
        if (block.timestamp > endedAt) revert ChargingEscrow_SessionOver(sessionId, endedAt);
        if (addition.addMicro == 0) revert ChargingEscrow_ZeroDeposit();
        uint256 depositMicro = uint256(session.depositMicro) + addition.addMicro;
        if (depositMicro > type(uint64).max) {
            revert ChargingEscrow_DepositTooLarge(depositMicro, type(uint64).max);
        }
        Signatures.requireByAddress(driver, _hashTypedDataV4(addition.hash()), signature);

        // Effects. The sum was compared with the largest uint64.
        _nonces.use(driver, addition.nonce);
        charger.session = ChargeTypes.sessionHash(
            sessionId,
            session.host,
            session.recordKey,
            session.powerW,
            session.openedAt,
            uint64(depositMicro)
        );
        emit ToppedUp(sessionId, addition.addMicro, uint64(depositMicro), addition.nonce);

        // Interactions.
        _take(driver, addition.addMicro, permit);
    }

    /// @inheritdoc IChargingEscrow
    function close(Closing calldata closing)
        external
        nonReentrant
        returns (uint64 paidMicro, uint64 refundedMicro)
    {
        // Check.
        (bytes32 sessionId, Chargers.State storage charger) = _requireOpen(closing.session);
        uint256 closableUntil = closing.session.openedAt + ChargeBounds.CLOSABLE_S;
        if (block.timestamp > closableUntil) {
            revert ChargingEscrow_TooLate(sessionId, closableUntil);
        }

        (paidMicro, refundedMicro) = _close(sessionId, charger, closing);
    }

    /// @inheritdoc IChargingEscrow
    function closeMany(Closing[] calldata closings) external nonReentrant {
        if (closings.length > CLOSINGS_MAX) {
            revert ChargingEscrow_TooManyClosings(closings.length, CLOSINGS_MAX);
        }
        for (uint256 i = 0; i < closings.length; ++i) {
            Session calldata session = closings[i].session;
            (bool isOpen, bytes32 sessionId, Chargers.State storage charger) = _find(session);
            if (isOpen && block.timestamp <= session.openedAt + ChargeBounds.CLOSABLE_S) {
                _close(sessionId, charger, closings[i]);
            } else {
                emit CloseSkipped(sessionId);
            }
        }
    }

    /// @inheritdoc IChargingEscrow
    function cancel(Session calldata session) external nonReentrant {
        bytes32 chargerId = session.order.chargerId;

        // Check.
        (bytes32 sessionId, Chargers.State storage charger) = _requireOpen(session);
        if (!_actsFor(session.host) && !_actsFor(charger.host)) {
            revert ChargingEscrow_NotHost(chargerId, msg.sender);
        }

        // Effects.
        charger.free();
        emit SessionCancelled(sessionId, chargerId, session.depositMicro);

        // Interactions.
        _refund(session.order.driver, session.depositMicro);
    }

    /// @inheritdoc IChargingEscrow
    function reclaim(Session calldata session) external nonReentrant {
        address driver = session.order.driver;

        // Check.
        (bytes32 sessionId, Chargers.State storage charger) = _requireOpen(session);
        if (msg.sender != driver) revert ChargingEscrow_NotDriver(driver, msg.sender);
        uint256 reclaimableFrom = session.openedAt + ChargeBounds.CLOSABLE_S + 1;
        if (block.timestamp < reclaimableFrom) {
            revert ChargingEscrow_TooEarly(sessionId, reclaimableFrom);
        }

        // Effects.
        charger.free();
        emit SessionReclaimed(sessionId, session.order.chargerId, session.depositMicro);

        // Interactions.
        _refund(driver, session.depositMicro);
    }

    /// @inheritdoc IChargingEscrow
    function voidNonce(uint256 nonce) external {
        _nonces.use(msg.sender, nonce);
        emit NonceVoided(msg.sender, nonce);
    }

    /* EXTERNAL: PAYING OUT */

    /// @inheritdoc IChargingEscrow
    function payHost(bytes32 chargerId) external nonReentrant returns (uint64 amountMicro) {
        Chargers.State storage charger = _chargers[chargerId];
        address host = charger.host;
        amountMicro = charger.creditMicro;

        // Check. Anyone may call; only the host is paid.
        if (amountMicro == 0) revert ChargingEscrow_NothingOwed();

        // Effects.
        charger.creditMicro = 0;
        emit HostPaid(chargerId, host, amountMicro);

        // Interactions.
        TOKEN.safeTransfer(host, amountMicro);
    }

    /// @inheritdoc IChargingEscrow
    function claim(address owed) external nonReentrant returns (uint256 amountMicro) {
        return _claim(owed, owed);
    }

    /// @inheritdoc IChargingEscrow
    function claimTo(address to) external nonReentrant returns (uint256 amountMicro) {
        if (to == address(0) || to == address(this)) revert ChargingEscrow_BadRecipient(to);
        return _claim(msg.sender, to);
    }

    /* EXTERNAL: HOSTS AND REGISTRAR */

    /// @inheritdoc IChargingEscrow
    function setDelegate(address delegate, bool allowed) external {
        _delegates[msg.sender][delegate] = allowed;
        emit DelegateSet(msg.sender, delegate, allowed);
    }

    /// @inheritdoc IChargingEscrow
    function register(
        bytes32 chargerId,
        address host,
        address recordKey,
        uint64 powerW,
        uint64 lastWh
    ) external onlyRegistrar {
        _chargers[chargerId].register(chargerId, host, recordKey, powerW, lastWh);
    }

    /// @inheritdoc IChargingEscrow
    function change(bytes32 chargerId, address host, address recordKey, uint64 powerW)
        external
        onlyRegistrar
    {
        Chargers.State storage charger = _chargers[chargerId];
        address previous = charger.host;
        _owe(previous, charger.change(chargerId, host, recordKey, powerW));
    }

    /// @inheritdoc IChargingEscrow
    function resetRegister(bytes32 chargerId, uint64 toWh) external onlyRegistrar {
        _chargers[chargerId].resetRegister(chargerId, toWh);
    }

    /* EXTERNAL: VIEW */

    /// @inheritdoc IChargingEscrow
    function token() external view returns (address) {
        return address(TOKEN);
    }

    /// @inheritdoc IChargingEscrow
    function registry() external view returns (address) {
        return address(REGISTRY);
    }

    /// @inheritdoc IChargingEscrow
    function chargerOf(bytes32 chargerId) external view returns (Charger memory) {
        Chargers.State storage charger = _chargers[chargerId];
        return Charger({
            host: charger.host,
            recordKey: charger.recordKey,
            powerW: charger.powerW,
            lastWh: charger.lastWh,
            creditMicro: charger.creditMicro,
            session: charger.session
        });
    }

    /// @inheritdoc IChargingEscrow
    function sessionIdOf(ChargeOrder calldata order) external view returns (bytes32) {
        return _sessionId(order);
    }

    /// @inheritdoc IChargingEscrow
    function sessionHashOf(Session calldata session) external view returns (bytes32) {
        return ChargeTypes.sessionHash(_sessionId(session.order), session);
    }

    /// @inheritdoc IChargingEscrow
    function isNonceUsed(address driver, uint256 nonce) external view returns (bool) {
        return _nonces.isUsed(driver, nonce);
    }

    /// @inheritdoc IChargingEscrow
    function claimableOf(address owed) external view returns (uint256) {
        return _claimable[owed];
    }

    /// @inheritdoc IChargingEscrow
    function isDelegate(address host, address delegate) external view returns (bool) {
        return _delegates[host][delegate];
    }

    /// @inheritdoc IChargingEscrow
    function costMicro(
        Tariff calldata tariff,
        uint64 energyWh,
        uint64 timeS,
        uint64 idleS,
        uint64 depositMicro
    ) external pure returns (uint64) {
        return ChargePrice.costMicro(tariff, energyWh, timeS, idleS, depositMicro);
    }

    /* INTERNAL: SESSIONS */

    /// @dev The caller is inside {nonReentrant}; the session is open, as given, and not too old.
    function _close(bytes32 sessionId, Chargers.State storage charger, Closing calldata closing)
        private
        returns (uint64 paidMicro, uint64 refundedMicro)
    {
        Session calldata session = closing.session;
        ChargeRecord memory record = closing.record;

        // Check.
        if (record.sessionId != sessionId) {
            revert ChargingEscrow_WrongSession(sessionId, record.sessionId);
        }
        Signatures.requireByKey(
            session.recordKey, _hashTypedDataV4(closing.record.hash()), closing.signature
        );
        uint64 durationS = ChargeBounds.requireTimes(record, session.openedAt);
        uint64 energyWh =
            ChargeBounds.requireEnergy(record, durationS, charger.lastWh, session.powerW);

        // Effects. Idling is at most the duration, and what is paid at most the deposit.
        uint64 depositMicro = session.depositMicro;
        unchecked {
            paidMicro = ChargePrice.costMicro(
                session.order.tariff, energyWh, durationS - record.idleS, record.idleS, depositMicro
            );
            refundedMicro = depositMicro - paidMicro;
        }
        charger.free();
        emit SessionClosed(
            sessionId,
            session.order.chargerId,
            record.startWh,
            record.stopWh,
            paidMicro,
            refundedMicro,
            record.evidenceHash
        );
        if (!charger.credit(session.host, paidMicro, record.stopWh)) _owe(session.host, paidMicro);

        // Interactions.
        _refund(session.order.driver, refundedMicro);
    }

    function _find(Session calldata session)
        private
        view
        returns (bool isOpen, bytes32 sessionId, Chargers.State storage charger)
    {
        charger = _chargers[session.order.chargerId];
        sessionId = _sessionId(session.order);
        isOpen = charger.session == ChargeTypes.sessionHash(sessionId, session);
    }

    function _requireOpen(Session calldata session)
        private
        view
        returns (bytes32 sessionId, Chargers.State storage charger)
    {
        bool isOpen;
        (isOpen, sessionId, charger) = _find(session);
        if (!isOpen) revert ChargingEscrow_NotOpen(sessionId);
    }

    function _sessionId(ChargeOrder calldata order) private view returns (bytes32) {
        return _hashTypedDataV4(order.hash());
    }

    function _actsFor(address host) private view returns (bool) {
        return msg.sender == host || _delegates[host][msg.sender];
    }

    /* INTERNAL: MONEY */

    /// @dev Takes exactly this amount, or nothing has happened at all.
    function _take(address driver, uint64 amountMicro, Permit calldata permit) private {
        // If somebody brought the permit to the token before us, the allowance is there.
        if (permit.signature.length > 0) {
            (uint8 v, bytes32 r, bytes32 s) = ECDSA.parseCalldata(permit.signature);
            try IERC20Permit(address(TOKEN))
                .permit(driver, address(this), amountMicro, permit.deadline, v, r, s) {}
                catch {}
        }
        uint256 expectedMicro = TOKEN.balanceOf(address(this)) + amountMicro;
        TOKEN.safeTransferFrom(driver, address(this), amountMicro);
        uint256 foundMicro = TOKEN.balanceOf(address(this));
        if (foundMicro != expectedMicro) {
            revert ChargingEscrow_WrongTransfer(expectedMicro, foundMicro);
        }
    }

    /// @dev To the driver's wallet; if that cannot be done, the driver claims it.
    function _refund(address driver, uint64 amountMicro) private {
        if (amountMicro == 0) return;
        if (!Push.tryTransfer(TOKEN, driver, amountMicro)) _owe(driver, amountMicro);
    }

    function _owe(address owed, uint64 amountMicro) private {
        if (amountMicro == 0) return;
        _claimable[owed] += amountMicro;
        emit Owed(owed, amountMicro);
    }

    function _claim(address owed, address to) private returns (uint256 amountMicro) {
        amountMicro = _claimable[owed];

        // Check.
        if (amountMicro == 0) revert ChargingEscrow_NothingOwed();

        // Effects.
        _claimable[owed] = 0;
        emit Claimed(owed, to, amountMicro);

        // Interactions.
        TOKEN.safeTransfer(to, amountMicro);
    }
}
