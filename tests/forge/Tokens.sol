// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @notice A token that anyone may mint and whose transfers follow a mood.
contract MoodyToken is ERC20, ERC20Permit {
    enum Mood {
        plain,
        takesFee,
        paysExtra,
        returnsFalse,
        doesNothing,
        refuses,
        callsBack
    }

    Mood public mood;
    address public called;
    bytes public message;
    uint8 private immutable _DECIMALS;

    constructor(uint8 decimals_) ERC20("Moody", "MOOD") ERC20Permit("Moody") {
        _DECIMALS = decimals_;
    }

    function mint(address to, uint256 amountMicro) external {
        _mint(to, amountMicro);
    }

    function feel(Mood mood_) external {
        mood = mood_;
    }

    /// @notice Whom transfers call in the mood `callsBack`, and with what.
    function callBack(address called_, bytes calldata message_) external {
        (mood, called, message) = (Mood.callsBack, called_, message_);
    }

    function transfer(address to, uint256 amountMicro) public override returns (bool) {
        return _move(msg.sender, to, amountMicro);
    }

    function transferFrom(address from, address to, uint256 amountMicro)
        public
        override
        returns (bool)
    {
        _spendAllowance(from, msg.sender, amountMicro);
        return _move(from, to, amountMicro);
    }

    function decimals() public view override returns (uint8) {
        return _DECIMALS;
    }

    function _move(address from, address to, uint256 amountMicro) private returns (bool) {
        if (mood == Mood.returnsFalse) return false;
        if (mood == Mood.doesNothing) return true;
        if (mood == Mood.refuses) revert("no");
        if (mood == Mood.callsBack) {
            (bool done,) = called.call(message);
            done; // whatever it was, it must not have helped
        }
        _transfer(from, to, amountMicro);
        if (mood == Mood.takesFee) _burn(to, 1);
        if (mood == Mood.paysExtra) _mint(to, 1);
        return true;
    }
}

/// @notice A wallet that is a contract: its key signs for it (ERC-1271).
contract Wallet {
    bytes32 private accepted;

    function accept(bytes32 digest) external {
        accepted = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == accepted ? this.isValidSignature.selector : bytes4(0);
    }
}
