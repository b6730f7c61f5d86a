// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IEnergyMarket} from "./interfaces/IEnergyMarket.sol";
import {AccountBook} from "./libraries/AccountBook.sol";
import {Configs} from "./libraries/Configs.sol";
import {LaneBalances} from "./libraries/LaneBalances.sol";
import {Periods} from "./libraries/Periods.sol";
import {Roles} from "./libraries/Roles.sol";
import {TariffHistory} from "./libraries/TariffHistory.sol";
import {Tariffs} from "./libraries/Tariffs.sol";

/// @title What a community's market remembers, and how it is read.
/// @dev {EnergyMarket} is the other half: what may happen to it.
abstract contract EnergyMarketState is IEnergyMarket, EIP712 {
    using AccountBook for AccountBook.Book;
    using LaneBalances for uint256[2048];
    using Periods for Periods.Progress;
    using Roles for Roles.Roster;
    using TariffHistory for TariffHistory.History;

    /* CONSTANTS */

    uint256 internal constant NANO_PER_MICRO = 1_000;
    uint256 internal constant ACCOUNTS_MAX = 8_192;

    IERC20 internal immutable TOKEN;
    uint256 internal immutable FIRST_PERIOD_START;
    uint256 internal immutable PERIOD_S;
    uint256 internal immutable PERIOD_WINDOWS;
    uint256 internal immutable DISPUTE_PERIOD_S;
    uint256 internal immutable FINALIZE_WITHIN_S;
    uint256 internal immutable WITHDRAWAL_DELAY_S;
    uint256 internal immutable DEBIT_MAX_WH; // of a period
    uint256 internal immutable SUPPLIER_DEBIT_MAX_NANO;
    PriceRule internal immutable PRICE_RULE;

    /* STORAGE */

    uint256[2048] internal _words; // by {LaneBalances}
    uint256 internal _progress; // {Periods-Progress} in one word
    Roles.Roster internal _roster;
    TariffHistory.History internal _tariffs;
    AccountBook.Book internal _book;
    mapping(uint64 periodStart => uint32) internal _revisions; // final ones, run 0 not counted
    mapping(uint64 periodStart => mapping(uint32 run => bytes32)) internal _commitments;
    mapping(uint32 account => Request) internal _requests; // `requestedAt` 0: none
    mapping(uint32 account => Limits[]) internal _limits;
    mapping(uint32 account => uint256) internal _limitsNonces;
    mapping(uint32 account => uint256) internal _withdrawalNonces;
    mapping(bytes32 digest => bool) internal _permitsUsed;
    uint256[24] internal _config; // encoded; never changes; what settlements need is immutable above

    /* CONSTRUCTOR */

    constructor(Config memory config_) EIP712("Wattledger", "1") {
        Configs.requireValid(config_);
        _config = Configs.encode(config_);
        TOKEN = IERC20(config_.token);
        FIRST_PERIOD_START = config_.firstPeriodStart;
        PERIOD_S = uint256(config_.windowS) * config_.periodWindows;
        PERIOD_WINDOWS = config_.periodWindows;
        DISPUTE_PERIOD_S = config_.disputePeriodS;
        FINALIZE_WITHIN_S = config_.finalizeWithinS;
        WITHDRAWAL_DELAY_S = config_.withdrawalDelayS;
        DEBIT_MAX_WH = uint256(config_.periodWindows) * config_.debitMaxWh;
        SUPPLIER_DEBIT_MAX_NANO = config_.supplierDebitMaxNano;
        PRICE_RULE = config_.priceRule;

        Periods.Progress memory progress; // all zero but the start
        progress.nextPeriodStart = config_.firstPeriodStart;
        _progress = progress.pack();
        _tariffs.start(config_.tariff, config_.firstPeriodStart);
        _roster.start(config_.owner, config_.operator);
        _enrol(0, config_.supplier);
        _enrol(1, config_.gridOperator);
    }

    /* VIEW */

    /// @inheritdoc IEnergyMarket
    function config() external view returns (Config memory) {
        Configs.answer(_config);
    }

    /// @inheritdoc IEnergyMarket
    function owner() external view returns (address) {
        return _roster.owner;
    }

    /// @inheritdoc IEnergyMarket
    function operator() external view returns (address) {
        return _roster.operator;
    }

    /// @inheritdoc IEnergyMarket
    function announcedOwner() external view returns (address) {
        return _roster.nextOwner;
    }

    /// @inheritdoc IEnergyMarket
    function announcedOperator() external view returns (address next, uint64 announcedAt) {
        return (_roster.nextOperator, _roster.operatorAnnouncedAt);
    }

    /// @inheritdoc IEnergyMarket
    function accountCount() external view returns (uint32) {
        return Periods.unpack(_progress).accountCount;
    }

    /// @inheritdoc IEnergyMarket
    function addressOf(uint32 account) external view returns (address) {
        return _book.addressOf[account];
    }

    /// @inheritdoc IEnergyMarket
    function recoveryOf(uint32 account) external view returns (address) {
        return _book.recoveryOf[account];
    }

    /// @inheritdoc IEnergyMarket
    function moveOf(uint32 account) external view returns (Move memory) {
        return _book.moveOf[account];
    }

    /// @inheritdoc IEnergyMarket
    function balanceOf(uint32 account) external view returns (uint64) {
        _book.known(account);
        return uint64(_words.get(account)); // a lane has 64 bits
    }

    /// @inheritdoc IEnergyMarket
    function balanceWords(uint256 from, uint256 to) external view returns (uint256[] memory words) {
        words = new uint256[](to - from);
        for (uint256 i = from; i < to; ++i) {
            words[i - from] = _words[i];
        }
    }

    /// @inheritdoc IEnergyMarket
    function requestOf(uint32 account) external view returns (Request memory) {
        return _requests[account];
    }

    /// @inheritdoc IEnergyMarket
    function availableOf(uint32 account) external view returns (uint64) {
        _book.known(account);
        return uint64(_availableNano(account)); // at most the balance
    }

    /// @inheritdoc IEnergyMarket
    function limitsNonce(uint32 account) external view returns (uint256) {
        return _limitsNonces[account];
    }

    /// @inheritdoc IEnergyMarket
    function withdrawalNonce(uint32 account) external view returns (uint256) {
        return _withdrawalNonces[account];
    }

    /// @inheritdoc IEnergyMarket
    function limitsOf(uint32 account) external view returns (Limits[] memory) {
        return _limits[account];
    }

    /// @inheritdoc IEnergyMarket
    function permitUsed(bytes32 digest) external view returns (bool) {
        return _permitsUsed[digest];
    }

    /// @inheritdoc IEnergyMarket
    function tariffAt(uint64 periodStart) external view returns (Tariff memory) {
        return Tariffs.unpack(_tariffs.at(periodStart));
    }

    /// @inheritdoc IEnergyMarket
    function announcedTariff()
        external
        view
        returns (Tariff memory tariff, uint64 startsAt, uint64 announcedAt)
    {
        TariffHistory.History storage history = _tariffs;
        return (Tariffs.unpack(history.next), history.nextStartsAt, history.announcedAt);
    }

    /// @inheritdoc IEnergyMarket
    function pending() external view returns (Pending memory) {
        Periods.Progress memory progress = Periods.unpack(_progress);
        return Pending({
            periodStart: progress.periodStart,
            run: progress.run,
            proposedAt: progress.proposedAt,
            state: progress.stateNow(_schedule())
        });
    }

    /// @inheritdoc IEnergyMarket
    function nextPeriodStart() external view returns (uint64) {
        return Periods.unpack(_progress).nextPeriodStart;
    }

    /// @inheritdoc IEnergyMarket
    function finalRuns(uint64 periodStart) external view returns (uint32) {
        return _finalRuns(Periods.unpack(_progress), periodStart);
    }

    /// @inheritdoc IEnergyMarket
    function commitmentOf(uint64 periodStart, uint32 run) external view returns (bytes32) {
        return _commitments[periodStart][run];
    }

    /// @inheritdoc IEnergyMarket
    function lastRevisionAt() external view returns (uint64) {
        return Periods.unpack(_progress).lastRevisionAt;
    }

    /* INTERNAL */

    function _schedule() internal view returns (Periods.Schedule memory) {
        return Periods.Schedule({
            firstPeriodStart: FIRST_PERIOD_START,
            periodS: PERIOD_S,
            disputePeriodS: DISPUTE_PERIOD_S,
            finalizeWithinS: FINALIZE_WITHIN_S
        });
    }

    function _enrol(uint32 account, address owner_) internal {
        // Check.
        Periods.Progress memory progress = Periods.unpack(_progress);
        uint32 next = progress.accountCount;
        if (account != next) revert EnergyMarket_NotNextAccount(account, next);
        if (next >= ACCOUNTS_MAX) revert EnergyMarket_TooManyAccounts(next, ACCOUNTS_MAX);
        if (owner_ == address(0)) revert EnergyMarket_ZeroAddress();

        // Effects.
        progress.accountCount = next + 1;
        _progress = progress.pack();
        _book.addressOf[account] = owner_;
        emit AccountEnrolled(account, owner_);
    }

    /// @dev The balance less a matured withdrawal request.
    function _availableNano(uint32 account) internal view returns (uint256) {
        uint256 balanceNano = _words.get(account);
        Request memory request = _requests[account];
        if (block.timestamp < request.requestedAt + WITHDRAWAL_DELAY_S) return balanceNano;
        uint256 requestedNano = request.amountMicro * NANO_PER_MICRO;
        return balanceNano > requestedNano ? balanceNano - requestedNano : 0;
    }

    function _finalRuns(Periods.Progress memory progress, uint64 periodStart)
        internal
        view
        returns (uint32)
    {
        if (!progress.isSettled(_schedule(), periodStart)) return 0;
        return 1 + _revisions[periodStart];
    }
}
