// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EnergyMarketState} from "./EnergyMarketState.sol";
import {IEnergyMarket} from "./interfaces/IEnergyMarket.sol";
import {AccountBook} from "./libraries/AccountBook.sol";
import {DeltaWords} from "./libraries/DeltaWords.sol";
import {LaneBalances} from "./libraries/LaneBalances.sol";
import {Periods} from "./libraries/Periods.sol";
import {Roles} from "./libraries/Roles.sol";
import {TariffHistory} from "./libraries/TariffHistory.sol";
import {Tariffs} from "./libraries/Tariffs.sol";

/// @title One community's market.
/// @dev Specified in contracts/README.md and, function by function, in {IEnergyMarket}. Storage and
/// views are in {EnergyMarketState}.
contract EnergyMarket is EnergyMarketState, ReentrancyGuardTransient {
    using AccountBook for AccountBook.Book;
    using LaneBalances for uint256[2048];
    using Periods for Periods.Progress;
    using Roles for Roles.Roster;
    using SafeERC20 for IERC20;
    using TariffHistory for TariffHistory.History;

    /* CONSTANTS */

    uint256 private constant ENROL_MAX = 256;
    uint256 private constant DEPOSIT_BALANCE_NANO_MAX = 2 ** 50;

    bytes32 private constant PERMIT_TYPEHASH = keccak256(
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    );
    bytes32 private constant LIMITS_TYPEHASH = keccak256(
        "PriceLimits(uint32 account,uint64 validFrom,uint64 maxBuyPerKwh,uint64 minSellPerKwh,uint256 nonce)"
    );
    bytes32 private constant WITHDRAWAL_TYPEHASH =
        keccak256("Withdrawal(uint32 account,uint64 amountMicro,uint256 nonce)");

    /* CONSTRUCTOR */

    constructor(Config memory config_) EnergyMarketState(config_) {}

    /* MODIFIERS */

    modifier onlyOperator() {
        _roster.requireOperator();
        _;
    }

    modifier onlyAccount(uint32 account) {
        _book.requireAccountsAddress(account);
        _;
    }

    /* EXTERNAL: ACCOUNTS */

    /// @inheritdoc IEnergyMarket
    function enrol(uint32 account, address owner_) external onlyOperator {
        _enrol(account, owner_);
    }

    /// @inheritdoc IEnergyMarket
    function enrolMany(uint32 account, address[] calldata owners) external onlyOperator {
        if (owners.length > ENROL_MAX) {
            revert EnergyMarket_TooManyAccounts(owners.length, ENROL_MAX);
        }
        for (uint32 i = 0; i < owners.length; ++i) {
            _enrol(account + i, owners[i]);
        }
    }

    /// @inheritdoc IEnergyMarket
    function nameRecovery(uint32 account, address recovery) external {
        _book.nameRecovery(account, recovery);
    }

    /// @inheritdoc IEnergyMarket
    function requestMove(uint32 account, address to) external {
        _book.requestMove(account, to);
    }

    /// @inheritdoc IEnergyMarket
    function cancelMove(uint32 account) external {
        _book.cancelMove(account);
    }

    /// @inheritdoc IEnergyMarket
    function executeMove(uint32 account) external {
        _book.executeMove(account, WITHDRAWAL_DELAY_S);
    }

    /* EXTERNAL: MONEY IN AND OUT */

    /// @inheritdoc IEnergyMarket
    function deposit(uint32 account, uint64 amountMicro) external nonReentrant {
        _book.known(account);
        _deposit(account, msg.sender, amountMicro);
    }

    /// @inheritdoc IEnergyMarket
    function depositWithPermit(
        uint32 account,
        address payer,
        uint64 amountMicro,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external nonReentrant {
        // Check: the payer pays this amount, and into an account that is the payer's.
        if (_book.known(account) != payer) revert EnergyMarket_NotPayersAccount(account, payer);
        if (block.timestamp > deadline) revert EnergyMarket_PermitExpired(deadline);
        IERC20Permit token = IERC20Permit(address(TOKEN));
        bytes32 digest = MessageHashUtils.toTypedDataHash(
            token.DOMAIN_SEPARATOR(),
            keccak256(
                abi.encode(PERMIT_TYPEHASH, payer, address(this), amountMicro, nonce, deadline)
            )
        );
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (signer != payer) revert EnergyMarket_BadSignature(payer);
        if (_permitsUsed[digest]) revert EnergyMarket_PermitUsed(digest);

        // Effects.
        _permitsUsed[digest] = true;

        // Interactions: if somebody brought the permit to the token before us, the allowance is there.
        (uint8 v, bytes32 r, bytes32 s) = ECDSA.parseCalldata(signature);
        try token.permit(payer, address(this), amountMicro, deadline, v, r, s) {} catch {}
        _deposit(account, payer, amountMicro);
    }

    /// @inheritdoc IEnergyMarket
    function requestWithdrawal(uint32 account, uint64 amountMicro) external onlyAccount(account) {
        _requestWithdrawal(account, amountMicro);
    }

    /// @inheritdoc IEnergyMarket
    function requestWithdrawalBySig(Withdrawal calldata request, bytes calldata signature)
        external
    {
        // Check.
        bytes32 structHash = keccak256(abi.encode(WITHDRAWAL_TYPEHASH, request));
        _requireSigned(request.account, structHash, signature);

        // Effects.
        _useNonce(_withdrawalNonces, request.account, request.nonce);
        _requestWithdrawal(request.account, request.amountMicro);
    }

    /// @inheritdoc IEnergyMarket
    function withdraw(uint32 account) external nonReentrant returns (uint64 amountMicro) {
        Request memory request = _requests[account];
        uint256 maturesAt = request.requestedAt + WITHDRAWAL_DELAY_S;

        // Check: there is something to pay. Anyone may call; only the account's address is paid.
        if (request.requestedAt == 0) revert EnergyMarket_NoRequest(account);

        // Check: nobody leaves the bill of a settlement under way behind.
        if (block.timestamp < maturesAt) revert EnergyMarket_NotMatured(account, maturesAt);
        Periods.Progress memory progress = Periods.unpack(_progress);
        if (
            progress.stateNow(_schedule()) == PendingState.proposed
                && progress.proposedAt < maturesAt
        ) {
            revert EnergyMarket_ProposalPending(progress.periodStart, progress.run);
        }

        // Effects. The balance is below 2^51 nano, so the cast keeps everything.
        amountMicro = request.amountMicro;
        uint256 balanceMicro = _words.get(account) / NANO_PER_MICRO; // rounded down
        if (amountMicro > balanceMicro) amountMicro = uint64(balanceMicro);
        delete _requests[account];
        _words.debit(account, amountMicro * NANO_PER_MICRO);
        address to = _book.addressOf[account];
        emit Withdrawn(account, to, amountMicro);

        // Interactions.
        TOKEN.safeTransfer(to, amountMicro);
    }

    /// @inheritdoc IEnergyMarket
    function setLimits(PriceLimits calldata limits, bytes calldata signature) external {
        uint32 account = limits.account;

        // Check.
        _requireSigned(account, keccak256(abi.encode(LIMITS_TYPEHASH, limits)), signature);

        // Effects.
        _useNonce(_limitsNonces, account, limits.nonce);
        uint64 effectiveFrom = limits.validFrom;
        if (effectiveFrom < block.timestamp) effectiveFrom = uint64(block.timestamp);
        _limits[account].push(
            Limits({
                effectiveFrom: effectiveFrom,
                maxBuyPerKwh: limits.maxBuyPerKwh,
                minSellPerKwh: limits.minSellPerKwh
            })
        );
        emit LimitsSet(
            account, effectiveFrom, limits.maxBuyPerKwh, limits.minSellPerKwh, limits.nonce
        );
    }

    /* EXTERNAL: SETTLEMENT */

    /// @inheritdoc IEnergyMarket
    function propose(
        Proposal calldata proposal,
        uint256[] calldata prices,
        uint256[] calldata deltas,
        Short[] calldata shorts
    ) external onlyOperator {
        // Check.
        if (DISPUTE_PERIOD_S == 0) revert EnergyMarket_DisputePeriodIsZero();
        Periods.Progress memory progress = Periods.unpack(_progress);
        _requireTurn(progress, proposal);

        // Effects. What is still marked as proposed here is past its time.
        if (progress.state == PendingState.proposed) {
            emit ProposalLapsed(progress.periodStart, progress.run);
        }
        uint256 tariff = _tariffs.at(proposal.periodStart);
        _publish(progress.accountCount, tariff, proposal, prices, deltas, shorts);
        progress.open(proposal.periodStart, proposal.run);
        _progress = progress.pack();
    }

    /// @inheritdoc IEnergyMarket
    function finalize(
        uint64 periodStart,
        uint32 run,
        uint64 cutoffAt,
        bytes32 statementsRoot,
        bytes32 windowsHash,
        uint256[] calldata deltas
    ) external {
        // Check.
        Periods.Progress memory progress = Periods.unpack(_progress);
        progress.requireReady(_schedule(), periodStart, run);
        bytes32 deltasRoot = DeltaWords.root(deltas);
        bytes32 commitment =
            keccak256(abi.encode(statementsRoot, windowsHash, deltasRoot, run, cutoffAt));
        bytes32 stored = _commitments[periodStart][run];
        if (commitment != stored) revert EnergyMarket_WrongCommitment(commitment, stored);

        // Effects.
        _applyRun(progress, _tariffs.at(periodStart), periodStart, run, deltas);
    }

    /// @inheritdoc IEnergyMarket
    function settle(
        Proposal calldata proposal,
        uint256[] calldata prices,
        uint256[] calldata deltas,
        Short[] calldata shorts
    ) external onlyOperator {
        // Check.
        if (DISPUTE_PERIOD_S != 0) revert EnergyMarket_DisputePeriodIsNotZero(DISPUTE_PERIOD_S);
        Periods.Progress memory progress = Periods.unpack(_progress);
        _requireTurn(progress, proposal);

        // Effects.
        uint256 tariff = _tariffs.at(proposal.periodStart);
        _publish(progress.accountCount, tariff, proposal, prices, deltas, shorts);
        _applyRun(progress, tariff, proposal.periodStart, proposal.run, deltas);
    }

    /// @inheritdoc IEnergyMarket
    function cancel() external onlyOperator {
        // Check.
        Periods.Progress memory progress = Periods.unpack(_progress);
        if (progress.stateNow(_schedule()) != PendingState.proposed) {
            revert EnergyMarket_NotPending(progress.periodStart, progress.run);
        }

        // Effects.
        progress.state = PendingState.cancelled;
        _progress = progress.pack();
        emit ProposalCancelled(progress.periodStart, progress.run);
    }

    /* EXTERNAL: ROLES */

    /// @inheritdoc IEnergyMarket
    function announceOwner(address next) external {
        _roster.announceOwner(next);
    }

    /// @inheritdoc IEnergyMarket
    function acceptOwner() external {
        _roster.acceptOwner();
    }

    /// @inheritdoc IEnergyMarket
    function announceOperator(address next) external {
        _roster.announceOperator(next);
    }

    /// @inheritdoc IEnergyMarket
    function acceptOperator() external {
        _roster.acceptOperator(WITHDRAWAL_DELAY_S);
    }

    /// @inheritdoc IEnergyMarket
    function announceTariff(Tariff calldata next, uint64 startsAt) external {
        _roster.requireOwner();
        Tariffs.requireValid(next, PRICE_RULE);
        _tariffs.announce(next, startsAt, WITHDRAWAL_DELAY_S, PERIOD_S);
    }

    /// @inheritdoc IEnergyMarket
    function enactTariff() external {
        Periods.Progress memory progress = Periods.unpack(_progress);
        uint256 proposedUntil = progress.nextPeriodStart;
        if (progress.state != PendingState.none && progress.run == 0) proposedUntil += PERIOD_S;
        _tariffs.enact(WITHDRAWAL_DELAY_S, proposedUntil);
    }

    /* INTERNAL */

    /// @dev The caller is inside {nonReentrant}, and has checked account and payer.
    function _deposit(uint32 account, address payer, uint64 amountMicro) private {
        // Check.
        if (amountMicro == 0) revert EnergyMarket_ZeroAmount(account);
        uint256 amountNano = amountMicro * NANO_PER_MICRO;
        uint256 balanceNano = _words.get(account) + amountNano;
        if (balanceNano > DEPOSIT_BALANCE_NANO_MAX) {
            revert EnergyMarket_DepositTooLarge(account, balanceNano, DEPOSIT_BALANCE_NANO_MAX);
        }

        // Effects.
        _words.credit(account, amountNano);
        emit Deposited(account, payer, amountMicro);

        // Interactions: exactly this amount arrives, or nothing of the above has happened.
        uint256 beforeMicro = TOKEN.balanceOf(address(this));
        TOKEN.safeTransferFrom(payer, address(this), amountMicro);
        uint256 afterMicro = TOKEN.balanceOf(address(this));
        if (afterMicro != beforeMicro + amountMicro) {
            revert EnergyMarket_WrongTransfer(beforeMicro + amountMicro, afterMicro);
        }
    }

    function _requestWithdrawal(uint32 account, uint64 amountMicro) private {
        if (amountMicro == 0) {
            delete _requests[account];
        } else {
            _requests[account] =
                Request({amountMicro: amountMicro, requestedAt: uint64(block.timestamp)});
        }
        emit WithdrawalRequested(account, amountMicro);
    }

    /// @dev Typed data of an account: signed by its address, by a key or by a contract (ERC-1271).
    function _requireSigned(uint32 account, bytes32 structHash, bytes calldata signature)
        private
        view
    {
        address signer = _book.known(account);
        bytes32 digest = _hashTypedDataV4(structHash);
        if (!SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature)) {
            revert EnergyMarket_BadSignature(signer);
        }
    }

    function _useNonce(mapping(uint32 => uint256) storage nonces, uint32 account, uint256 nonce)
        private
    {
        uint256 lastNonce = nonces[account];
        if (nonce <= lastNonce) revert EnergyMarket_NonceUsed(account, nonce, lastNonce);
        nonces[account] = nonce;
    }

    function _requireTurn(Periods.Progress memory progress, Proposal calldata proposal)
        private
        view
    {
        uint32 finalRuns_ = _finalRuns(progress, proposal.periodStart);
        progress.requireTurn(_schedule(), proposal, finalRuns_);
    }

    /// @dev Checks what {propose} and {settle} are given, and stores and logs the commitment to it.
    function _publish(
        uint256 accounts,
        uint256 tariff,
        Proposal calldata proposal,
        uint256[] calldata prices,
        uint256[] calldata deltas,
        Short[] calldata shorts
    ) private {
        (uint64 periodStart, uint32 run) = (proposal.periodStart, proposal.run);

        // Check.
        bytes32 pricesHash = Tariffs.requirePrices(prices, PERIOD_WINDOWS, tariff, PRICE_RULE);
        DeltaWords.requireShape(deltas, accounts);

        // Effects.
        bytes32 windowsHash = keccak256(abi.encode(pricesHash, proposal.totalsHash));
        bytes32 deltasRoot = DeltaWords.root(deltas);
        _commitments[periodStart][run] = keccak256(
            abi.encode(proposal.statementsRoot, windowsHash, deltasRoot, run, proposal.cutoffAt)
        );
        emit Proposed(
            periodStart, run, proposal.cutoffAt, proposal.statementsRoot, windowsHash, deltasRoot
        );
        _requireShorts(accounts, proposal, deltas, shorts);
    }

    /// @dev Whoever cannot pay in full pays all that is available. Accounts ascend, so the loop ends.
    function _requireShorts(
        uint256 accounts,
        Proposal calldata proposal,
        uint256[] calldata deltas,
        Short[] calldata shorts
    ) private {
        uint32 previous = 0; // account 0 is never short: it pays for the others
        for (uint256 i = 0; i < shorts.length; ++i) {
            (uint32 account, uint64 shortfallNano) = (shorts[i].account, shorts[i].shortfallNano);
            if (account <= previous) revert EnergyMarket_ShortsOutOfOrder(account, previous);
            if (account >= accounts) revert EnergyMarket_UnknownAccount(account);
            if (shortfallNano == 0) revert EnergyMarket_ZeroShortfall(account);
            int256 deltaNano =
                DeltaWords.lane(deltas[account / DeltaWords.LANES], account % DeltaWords.LANES);
            uint256 availableNano = _availableNano(account);
            if (deltaNano != -int256(availableNano)) {
                revert EnergyMarket_ShortTakesNotAll(account, deltaNano, availableNano);
            }
            previous = account;
            emit Shortfall(proposal.periodStart, proposal.run, account, shortfallNano);
        }
    }

    /// @dev Moves every balance, once: the run is final from here on.
    function _applyRun(
        Periods.Progress memory progress,
        uint256 tariff,
        uint64 periodStart,
        uint32 run,
        uint256[] calldata deltas
    ) private {
        // At most 2 * 96 * 10^8 * 10^8.
        uint256 capNano = DEBIT_MAX_WH * Tariffs.gridImportPerKwh(tariff);
        if (run > 0) {
            capNano *= 2; // from all sold to all bought
            _revisions[periodStart] = run;
        }
        progress.close(_schedule(), run);
        _progress = progress.pack();
        _words.applyRun(deltas, capNano, SUPPLIER_DEBIT_MAX_NANO);
        emit Finalized(periodStart, run);
    }
}
