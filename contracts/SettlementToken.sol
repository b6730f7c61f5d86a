// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title Settlement token for trials: six decimals, ERC-2612 permits, and an owner who makes money.
/// @notice A real community uses a real 6-decimal token instead. The EIP-712 domain of its permits is
/// `{name: "Wattledger Demo Token", version: "1", chainId, verifyingContract}`.
contract SettlementToken is ERC20, ERC20Permit, Ownable {
    /* CONSTRUCTOR */

    constructor(address owner_)
        ERC20("Wattledger Demo Token", "WDT")
        ERC20Permit("Wattledger Demo Token")
        Ownable(owner_)
    {}

    /* EXTERNAL */

    /// @notice Makes tokens.
    /// Warning: whoever owns this contract can make any amount; it stands for money, it is not money.
    ///
    /// Requirements:
    /// - The caller must be the owner.
    ///
    /// @param amountMicro In base units (10^-6).
    function mint(address to, uint256 amountMicro) external onlyOwner {
        _mint(to, amountMicro);
    }

    /* VIEW */

    /// @inheritdoc ERC20
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
