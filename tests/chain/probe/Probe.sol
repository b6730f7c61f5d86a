// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A contract to test chain access with: state, time, events, and each kind of refusal.
contract Probe {
    event Stored(uint256 indexed slot, address indexed caller, uint256 value);

    mapping(uint256 => uint256) public values;

    error MeterRegistry_NotRegistrar(address caller); // as our own contracts declare it
    error Unheard(uint256 value);

    function store(uint256 slot, uint256 value) external {
        values[slot] = value;
        emit Stored(slot, msg.sender, value);
    }

    /// @dev As dear as a settlement: one slot a word.
    function storeMany(uint256[] calldata words) external {
        for (uint256 i = 0; i < words.length; ++i) values[i] += words[i];
    }

    function clock() external view returns (uint256, uint256) {
        return (block.timestamp, block.number);
    }

    function refuse() external view {
        revert MeterRegistry_NotRegistrar(msg.sender);
    }

    function refuseUnheard() external pure {
        revert Unheard(7);
    }

    function refuseInWords() external pure {
        revert("in words");
    }

    function refuseBare() external pure {
        revert();
    }

    function panic(uint256 zero) external pure returns (uint256) {
        return 1 / zero;
    }

    /// @dev Memory that no block's gas pays for.
    function burn() external pure {
        assembly {
            return(0, 0x10000000)
        }
    }

    function invalid() external pure {
        assembly {
            invalid()
        }
    }
}
