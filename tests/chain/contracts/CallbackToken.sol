// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that calls somebody, with anything, in the middle of the next transfer.
contract CallbackToken is ERC20 {
    address private _callee;
    bytes private _data;

    constructor() ERC20("Callback", "CALL") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function arm(address callee, bytes calldata data) external {
        _callee = callee;
        _data = data;
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_callee == address(0)) return;
        address callee = _callee;
        _callee = address(0);
        (bool success, bytes memory answer) = callee.call(_data);
        if (success) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}
