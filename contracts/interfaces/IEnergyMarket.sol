// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title One community's market: prepaid balances, and the settlements that move them.
/// @notice Amounts are integers. `nano` is 10^-9 of a settlement token, `micro` its base unit
/// (10^-6), a price is micro-tokens per kWh, the same number as nano per Wh.
interface IEnergyMarket {
    /* TYPES */

    /// @dev The order is INTERFACES §6's.
    enum VolumeRule {
        proportional,
        staticKeys,
        dynamicKeys,
        fullDynamic,
        priority
    }

    enum PriceRule {
        midMarket,
        fixedPrice,
        supplyDemandRatio,
        auction
    }

    /// @dev settled: the rest is bought from and sold to account 0. external: left to the supplier's bill.
    enum Residual {
        settled,
        external_
    }

    /// @notice Prices in micro-tokens per kWh, at most 10^8 each.
    struct Tariff {
        uint32 gridImportPerKwh;
        uint32 gridExportPerKwh;
        uint32 localFeePerKwh;
        uint32 fixedPerKwh; // only for the price rule `fixedPrice`, else 0
    }

    /// @notice Everything that is fixed when a community is created.
    struct Config {
        address token;
        address registry;
        address owner;
        address operator;
        address supplier; // address of account 0
        address gridOperator; // address of account 1
        uint64 firstPeriodStart;
        uint32 windowS;
        uint32 periodWindows; // K
        uint32 graceS;
        uint32 disputePeriodS;
        uint32 finalizeWithinS;
        uint32 withdrawalDelayS;
        VolumeRule volumeRule;
        PriceRule priceRule;
        Residual residual;
        uint32 auctionKBps;
        bytes32 keysHash; // keccak256 of the static keys or priorities (RFC 8785 JSON); 0 where unused
        uint64 debitMaxWh; // what the largest connection draws in a window
        uint64 supplierDebitMaxNano; // debit cap of accounts 0 and 1 in a run
        Tariff tariff;
    }

    /// @notice One run's proposal, less its prices and deltas.
    struct Proposal {
        uint64 periodStart;
        uint32 run;
        uint64 cutoffAt; // readings accepted up to here were used
        bytes32 statementsRoot;
        bytes32 totalsHash; // salted; with the prices it gives windowsHash
    }

    /// @notice A debit that an account could not pay in full: it takes exactly what was available.
    struct Short {
        uint32 account;
        uint64 shortfallNano; // what is left out, and paid by account 0 until a later run
    }

    /// @dev none: nothing to finalize. proposed: waits. cancelled: must be made again first. A
    /// proposal that is past its time counts as `lapsed`, and must be made again first too.
    enum PendingState {
        none,
        proposed,
        cancelled,
        lapsed
    }

    struct Pending {
        uint64 periodStart;
        uint32 run;
        uint64 proposedAt;
        PendingState state;
    }

    struct Request {
        uint64 amountMicro;
        uint64 requestedAt;
    }

    struct Move {
        address to;
        uint64 requestedAt;
        bool byRecovery;
    }

    struct Limits {
        uint64 effectiveFrom; // max(validFrom, block time): periods that start then or later
        uint64 maxBuyPerKwh; // fee included; 2^64-1: no limit
        uint64 minSellPerKwh; // 0: no limit
    }

    /// @notice EIP-712 `PriceLimits`.
    struct PriceLimits {
        uint32 account;
        uint64 validFrom;
        uint64 maxBuyPerKwh;
        uint64 minSellPerKwh;
        uint256 nonce;
    }

    /// @notice EIP-712 `Withdrawal`.
    struct Withdrawal {
        uint32 account;
        uint64 amountMicro;
        uint256 nonce;
    }

    /* EVENTS */

    event AccountEnrolled(uint32 indexed account, address indexed owner);
    event RecoveryNamed(uint32 indexed account, address indexed recovery);
    event MoveRequested(uint32 indexed account, address indexed to, bool byRecovery);
    event MoveCancelled(uint32 indexed account);
    event AccountMoved(uint32 indexed account, address indexed from, address indexed to);
    event Deposited(uint32 indexed account, address indexed payer, uint64 amountMicro);
    /// @notice A request replaces the one before it; 0 cancels.
    event WithdrawalRequested(uint32 indexed account, uint64 amountMicro);
    event Withdrawn(uint32 indexed account, address indexed to, uint64 amountMicro);
    event LimitsSet(
        uint32 indexed account,
        uint64 effectiveFrom,
        uint64 maxBuyPerKwh,
        uint64 minSellPerKwh,
        uint256 nonce
    );
    event Proposed(
        uint64 indexed periodStart,
        uint32 indexed run,
        uint64 cutoffAt,
        bytes32 statementsRoot,
        bytes32 windowsHash,
        bytes32 deltasRoot
    );
    event Shortfall(
        uint64 indexed periodStart, uint32 indexed run, uint32 indexed account, uint64 shortfallNano
    );
    event Finalized(uint64 indexed periodStart, uint32 indexed run);
    event ProposalCancelled(uint64 indexed periodStart, uint32 indexed run);
    event ProposalLapsed(uint64 indexed periodStart, uint32 indexed run);
    event OwnerAnnounced(address indexed owner);
    event OwnerChanged(address indexed owner);
    event OperatorAnnounced(address indexed operator);
    event OperatorChanged(address indexed operator);
    event TariffAnnounced(Tariff tariff, uint64 startsAt);
    event TariffEnacted(Tariff tariff, uint64 startsAt);

    /* ERRORS */

    // Roles.
    error EnergyMarket_NotOwner(address caller);
    error EnergyMarket_NotOperator(address caller);
    error EnergyMarket_NotAnnounced(address caller);
    error EnergyMarket_NothingAnnounced();
    /// @dev A delayed change (move, operator, tariff) before its time.
    error EnergyMarket_TooEarly(uint256 earliestAt);
    error EnergyMarket_ZeroAddress();

    // What a community is created with. `field` is the name in {Config}.
    error EnergyMarket_ConfigOutOfRange(bytes32 field, uint256 value, uint256 min, uint256 max);
    error EnergyMarket_AuctionNeedsProportional(VolumeRule volumeRule);
    error EnergyMarket_WrongKeysHash(VolumeRule volumeRule, bytes32 keysHash);

    // Tariffs.
    error EnergyMarket_PriceTooHigh(uint256 pricePerKwh, uint256 maxPerKwh);
    error EnergyMarket_NoMargin(
        uint256 gridExportPerKwh, uint256 localFeePerKwh, uint256 gridImportPerKwh
    );
    error EnergyMarket_FixedOutOfBounds(uint256 fixedPerKwh, uint256 minPerKwh, uint256 maxPerKwh);
    error EnergyMarket_TariffUnaligned(uint64 startsAt);
    error EnergyMarket_TariffTooSoon(uint64 startsAt, uint256 earliestAt);
    /// @dev A later tariff was enacted already.
    error EnergyMarket_TariffOutOfOrder(uint64 startsAt, uint64 lastStartsAt);
    /// @dev A period from the tariff's start on was proposed already.
    error EnergyMarket_TariffTooLate(uint64 startsAt, uint256 proposedUntil);

    // Accounts.
    error EnergyMarket_NotNextAccount(uint32 account, uint32 nextAccount);
    error EnergyMarket_TooManyAccounts(uint256 accounts, uint256 max);
    error EnergyMarket_UnknownAccount(uint32 account);
    error EnergyMarket_NotAccountsAddress(uint32 account, address caller);
    error EnergyMarket_OwnMoveUnderWay(uint32 account);
    error EnergyMarket_NoMove(uint32 account);

    // Signed messages.
    error EnergyMarket_BadSignature(address signer);
    error EnergyMarket_NonceUsed(uint32 account, uint256 nonce, uint256 lastNonce);

    // Money in and out.
    error EnergyMarket_ZeroAmount(uint32 account);
    error EnergyMarket_DepositTooLarge(uint32 account, uint256 balanceNano, uint256 maxNano);
    error EnergyMarket_WrongTransfer(uint256 expectedMicro, uint256 receivedMicro);
    error EnergyMarket_NotPayersAccount(uint32 account, address payer);
    error EnergyMarket_PermitExpired(uint256 deadline);
    error EnergyMarket_PermitUsed(bytes32 digest);
    error EnergyMarket_NoRequest(uint32 account);
    error EnergyMarket_NotMatured(uint32 account, uint256 maturesAt);
    /// @dev In the way of a withdrawal, or of another proposal.
    error EnergyMarket_ProposalPending(uint64 periodStart, uint32 run);

    // Publishing a run.
    error EnergyMarket_DisputePeriodIsZero();
    error EnergyMarket_DisputePeriodIsNotZero(uint256 disputePeriodS);
    /// @dev The named proposal was cancelled or lapsed and comes first.
    error EnergyMarket_MustBeMadeAgain(uint64 periodStart, uint32 run);
    error EnergyMarket_NotNextPeriod(uint64 periodStart, uint64 nextPeriodStart);
    error EnergyMarket_NotNextRun(uint64 periodStart, uint32 run, uint32 nextRun);
    error EnergyMarket_PeriodUnaligned(uint64 periodStart);
    error EnergyMarket_PeriodNotEnded(uint64 periodStart, uint256 endsAt);
    error EnergyMarket_CutoffOutOfRange(uint64 cutoffAt, uint256 min, uint256 max);
    error EnergyMarket_RevisionTooSoon(uint256 earliestAt);
    error EnergyMarket_WrongPriceCount(uint256 words, uint256 expected);
    error EnergyMarket_WrongTariff(uint256 window, uint256 priceWord, uint256 tariffWord);
    error EnergyMarket_PriceOutOfBounds(
        uint256 window, uint256 localPerKwh, uint256 min, uint256 max
    );
    error EnergyMarket_WrongDeltaCount(uint256 words, uint256 expected);
    error EnergyMarket_UnusedLanes(uint256 lastWord, uint256 usedLanes);
    error EnergyMarket_ShortsOutOfOrder(uint32 account, uint32 previous);
    error EnergyMarket_ZeroShortfall(uint32 account);
    error EnergyMarket_ShortTakesNotAll(uint32 account, int256 deltaNano, uint256 availableNano);

    // Applying a run.
    error EnergyMarket_NotPending(uint64 periodStart, uint32 run);
    error EnergyMarket_DisputeOpen(uint256 endsAt);
    error EnergyMarket_Lapsed(uint64 periodStart, uint32 run, uint256 lapsedAt);
    error EnergyMarket_WrongCommitment(bytes32 given, bytes32 stored);
    error EnergyMarket_Overdrawn(uint32 account, uint256 neededNano, uint256 availableNano);
    error EnergyMarket_AboveDebitCap(uint32 account, uint256 debitNano, uint256 capNano);
    error EnergyMarket_BalanceTooLarge(uint32 account, uint256 balanceNano, uint256 maxNano);
    error EnergyMarket_Unbalanced(int256 sumNano);

    /* ACCOUNTS */

    /// @notice Enrols the next account. Emits {AccountEnrolled}.
    ///
    /// Requirements:
    /// - The caller must be the operator.
    /// - `account` must be the next index (this makes a repeated call fail, not enrol twice).
    /// - At most 8,192 accounts.
    /// - The owner must not be zero.
    function enrol(uint32 account, address owner) external;

    /// @notice Enrols several accounts at once, from `account` on; at most 256. As {enrol}.
    function enrolMany(uint32 account, address[] calldata owners) external;

    /// @notice Names who may begin a move of the account; zero for nobody. Emits {RecoveryNamed}.
    ///
    /// Requirements:
    /// - The caller must be the account's address.
    function nameRecovery(uint32 account, address recovery) external;

    /// @notice Begins a move of the account to another address. Emits {MoveRequested}.
    ///
    /// Requirements:
    /// - The caller must be the account's address or its recovery address.
    /// - The recovery address must not replace a move that the account's own address began.
    /// - The new address must not be zero.
    function requestMove(uint32 account, address to) external;

    /// @notice Ends a move that is under way. Emits {MoveCancelled}.
    ///
    /// Requirements:
    /// - The caller must be the account's address.
    /// - A move must be under way.
    function cancelMove(uint32 account) external;

    /// @notice Completes a move; anyone may call. Emits {AccountMoved}. The new address starts
    /// without a recovery address.
    ///
    /// Requirements:
    /// - A move must be under way.
    /// - The withdrawal delay must have passed since it began.
    function executeMove(uint32 account) external;

    /* MONEY IN AND OUT */

    /// @notice Pays into an account from the caller's wallet. Emits {Deposited}.
    ///
    /// Requirements:
    /// - The account must be enrolled, the amount not zero.
    /// - The balance afterwards must be at most 2^50 nano.
    /// - The contract's token balance must rise by exactly the amount.
    function deposit(uint32 account, uint64 amountMicro) external;

    /// @notice Pays into an account from `payer`'s wallet by the payer's ERC-2612 permit; anyone
    /// relays it. Emits {Deposited}.
    /// @dev The market checks the permit's signature itself, so that an allowance alone never moves
    /// anybody's tokens, and uses each permit once. A permit that somebody else already brought to
    /// the token is no obstacle as long as the allowance suffices.
    ///
    /// Requirements: as {deposit}, and
    /// - The account's address must be the payer: a permit names no account, so a relayer must not
    ///   be able to choose whose balance it fills.
    /// - The signature must be the payer's, over (payer, this market, amountMicro, nonce, deadline).
    /// - The deadline must not have passed.
    /// - The permit must not have been used here before.
    /// @param nonce The permit's nonce at the token.
    function depositWithPermit(
        uint32 account,
        address payer,
        uint64 amountMicro,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Asks for a withdrawal; replaces the request before it and starts the delay anew; 0
    /// cancels. At once it stops counting as cover. Emits {WithdrawalRequested}.
    ///
    /// Requirements:
    /// - The caller must be the account's address.
    function requestWithdrawal(uint32 account, uint64 amountMicro) external;

    /// @notice The same by the account's EIP-712 `Withdrawal`; anyone relays it.
    ///
    /// Requirements:
    /// - The signature must be the account's address's (ECDSA with low s, or ERC-1271).
    /// - The nonce must be above the last one of this account and message type.
    function requestWithdrawalBySig(Withdrawal calldata request, bytes calldata signature) external;

    /// @notice Pays out a matured withdrawal request, in whole base units of the token.
    /// @dev Emits {Withdrawn}. Rounded down: what is below one base unit stays on the account.
    ///
    /// Requirements:
    /// - A withdrawal must have been requested.
    /// - The withdrawal delay must have passed since the request.
    /// - No proposal may be pending that was made before the request matured.
    ///
    /// @return amountMicro The amount paid: the request, or the balance if that is less.
    function withdraw(uint32 account) external returns (uint64 amountMicro);

    /// @notice Sets an account's price limits; anyone relays them. Emits {LimitsSet}. Of the limits
    /// that are effective at a period's start the last one set counts.
    ///
    /// Requirements:
    /// - The account must be enrolled.
    /// - The signature must be the account's address's (ECDSA with low s, or ERC-1271).
    /// - The nonce must be above the last one of this account and message type.
    function setLimits(PriceLimits calldata limits, bytes calldata signature) external;

    /* SETTLEMENT */

    /// @notice Publishes a run: prices and deltas in the calldata, one commitment in storage.
    /// @dev Emits {Proposed} and a {Shortfall} for each listed account.
    ///
    /// Requirements:
    /// - The caller must be the operator; the dispute period must not be 0.
    /// - No proposal may be pending; one that was cancelled or lapsed must be made again first.
    /// - Run 0 goes period by period from `firstPeriodStart`; run n needs run n-1 final.
    /// - The period must be aligned and have ended; the cutoff must lie between its end and block time.
    /// - A revision needs a whole period length since the last revision was applied.
    /// - One price word a window: tariff in force at the period's start, price in its bounds, equal
    ///   to the rule for `midMarket` and `fixedPrice`.
    /// - One delta word for four accounts, unused lanes zero.
    /// - Listed accounts ascend, are not account 0, and their deltas take exactly what is available:
    ///   the balance less a matured withdrawal request.
    ///
    /// @param prices One word a window: local<<96 | fee<<64 | gridImport<<32 | gridExport.
    /// @param deltas Four lanes a word, as INTERFACES §5.
    /// @param shorts Accounts that cannot pay in full.
    function propose(
        Proposal calldata proposal,
        uint256[] calldata prices,
        uint256[] calldata deltas,
        Short[] calldata shorts
    ) external;

    /// @notice Applies the pending proposal; anyone may call. Emits {Finalized}.
    ///
    /// Requirements:
    /// - That proposal must be pending, past its dispute period, and not lapsed.
    /// - The parts must give the stored commitment.
    /// - The deltas must sum to zero, take no account below zero, above 2^51-1, or by more than its
    ///   debit cap.
    function finalize(
        uint64 periodStart,
        uint32 run,
        uint64 cutoffAt,
        bytes32 statementsRoot,
        bytes32 windowsHash,
        uint256[] calldata deltas
    ) external;

    /// @notice Publishes and applies in one transaction, where the dispute period is 0.
    /// @dev Emits {Proposed}, {Shortfall}, {Finalized}. Requirements as {propose} and {finalize}.
    function settle(
        Proposal calldata proposal,
        uint256[] calldata prices,
        uint256[] calldata deltas,
        Short[] calldata shorts
    ) external;

    /// @notice Takes the pending proposal back. Emits {ProposalCancelled}.
    ///
    /// Requirements:
    /// - The caller must be the operator.
    /// - A proposal must be pending and not lapsed.
    function cancel() external;

    /* ROLES */

    /// @notice First step of handing ownership on; zero calls it off. Emits {OwnerAnnounced}.
    /// Warning: the owner names operator and tariff, both only after the withdrawal delay.
    ///
    /// Requirements:
    /// - The caller must be the owner.
    function announceOwner(address next) external;

    /// @notice Second step: the announced address takes the role. Emits {OwnerChanged}.
    ///
    /// Requirements:
    /// - The caller must be the announced address.
    function acceptOwner() external;

    /// @notice First step of a change of operator; replaces one that is under way, zero calls it
    /// off. Emits {OperatorAnnounced}.
    /// Warning: the operator proposes settlements. Members have the withdrawal delay to leave.
    ///
    /// Requirements:
    /// - The caller must be the owner.
    function announceOperator(address next) external;

    /// @notice Second step: the announced address takes the role. Emits {OperatorChanged}.
    ///
    /// Requirements:
    /// - The caller must be the announced address.
    /// - The withdrawal delay must have passed since the announcement.
    function acceptOperator() external;

    /// @notice First step of a change of tariff; replaces one that is under way. Emits {TariffAnnounced}.
    /// Warning: a tariff moves money. Members have the withdrawal delay to leave.
    ///
    /// Requirements:
    /// - The caller must be the owner.
    /// - The tariff must be valid: each price at most 10^8, grid export + fee at most grid import,
    ///   a fixed price (only for that rule) between grid export and grid import less fee.
    /// - It must start at a period's boundary, at least the withdrawal delay from now.
    /// - It must not start before the last enacted one; one with the same start replaces it.
    function announceTariff(Tariff calldata next, uint64 startsAt) external;

    /// @notice Second step; anyone may call. Emits {TariffEnacted}.
    ///
    /// Requirements:
    /// - A tariff must have been announced, and the withdrawal delay have passed since.
    /// - No period from its start on may have been proposed, not even cancelled or lapsed.
    function enactTariff() external;

    /* VIEWS */

    /// @notice What the community was created with. Owner, operator and tariff may have changed since.
    function config() external view returns (Config memory);
    function owner() external view returns (address);
    function operator() external view returns (address);
    function accountCount() external view returns (uint32);
    function addressOf(uint32 account) external view returns (address);
    function recoveryOf(uint32 account) external view returns (address);
    function moveOf(uint32 account) external view returns (Move memory);
    /// @return Balance in nano.
    function balanceOf(uint32 account) external view returns (uint64);
    /// @notice Balance words `[from, to)`, four lanes each, for readers of many accounts.
    function balanceWords(uint256 from, uint256 to) external view returns (uint256[] memory);
    function requestOf(uint32 account) external view returns (Request memory);
    /// @notice Balance less a matured withdrawal request, in nano: what a settlement may take.
    function availableOf(uint32 account) external view returns (uint64);
    function limitsNonce(uint32 account) external view returns (uint256);
    function withdrawalNonce(uint32 account) external view returns (uint256);
    function limitsOf(uint32 account) external view returns (Limits[] memory);
    function permitUsed(bytes32 digest) external view returns (bool);
    function tariffAt(uint64 periodStart) external view returns (Tariff memory);
    function announcedTariff()
        external
        view
        returns (Tariff memory tariff, uint64 startsAt, uint64 announcedAt);
    function announcedOwner() external view returns (address);
    function announcedOperator() external view returns (address next, uint64 announcedAt);
    function pending() external view returns (Pending memory);
    /// @notice Start of the next period that run 0 may be proposed for.
    function nextPeriodStart() external view returns (uint64);
    /// @notice Number of final runs of a period.
    function finalRuns(uint64 periodStart) external view returns (uint32);
    /// @notice keccak256(abi.encode(statementsRoot, windowsHash, deltasRoot, run, cutoffAt)); zero if none.
    function commitmentOf(uint64 periodStart, uint32 run) external view returns (bytes32);
    function lastRevisionAt() external view returns (uint64);
}
