// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that treats transfers to one address as it likes, and all others well.
contract WhimToken is ERC20 {
    enum Whim {
        none,
        refuses,
        burnsAllGas,
        saysNothing,
        saysTooLittle,
        saysTwo,
        saysFalse,
        saysEndlessly,
        movesNothing
    }

    address private _against;
    Whim private _whim;
    uint256 private _appetite;

    constructor() ERC20("Whim", "WHIM") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice From now on transfers to this address fare so.
    function treat(address against, Whim whim) external {
        (_against, _whim) = (against, whim);
    }

    /// @notice From now on every transfer uses at least so much gas.
    function eat(uint256 gasUsed) external {
        _appetite = gasUsed;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        uint256 before = gasleft();
        while (before - gasleft() < _appetite) {}
        return to == _against ? _treated(to, amount) : super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        bool moved = super.transferFrom(from, to, amount);
        if (_whim == Whim.saysNothing) _answer(0, 0);
        return moved;
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function _treated(address to, uint256 amount) private returns (bool moved) {
        if (_whim == Whim.refuses) revert("not to you");
        if (_whim == Whim.burnsAllGas) {
            assembly {
                invalid()
            }
        }
        if (_whim == Whim.movesNothing) return true;
        if (_whim == Whim.saysTooLittle) _answer(1, 31);
        if (_whim == Whim.saysTwo) _answer(2, 32);
        if (_whim == Whim.saysFalse) _answer(0, 32);
        moved = super.transfer(to, amount);
        if (_whim == Whim.saysNothing) _answer(0, 0);
        if (_whim == Whim.saysEndlessly) _answer(1, 100_000);
    }

    function _answer(uint256 word, uint256 length) private pure {
        assembly {
            mstore(0, word)
            return(0, length)
        }
    }
}
