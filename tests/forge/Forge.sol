// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The part of forge's cheat codes that these tests use. halmos knows the first block too.
interface Vm {
    function assume(bool) external pure;
    function warp(uint256) external;
    function prank(address) external;
    function store(address target, bytes32 slot, bytes32 value) external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function addr(uint256 key) external pure returns (address);

    function getBlockTimestamp() external view returns (uint256);
    function chainId(uint256) external;
    function startPrank(address) external;
    function stopPrank() external;
    function etch(address target, bytes calldata code) external;
    function expectRevert(bytes calldata) external;
    function expectPartialRevert(bytes4) external;
    function expectEmit(address emitter) external;
    /// @notice As `new`, but without a copy of the contract's code in the test's own.
    function getCode(string calldata what) external view returns (bytes memory);
    function deployCode(string calldata what, bytes calldata arguments) external returns (address);
    function snapshotState() external returns (uint256);
    function revertToState(uint256) external returns (bool);
}

/// @notice What every test starts from. npm's forge-std is unofficial, and this is all we need of it.
abstract contract Forge {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(string what, uint256 given, uint256 expected);
    error NotTrue(string what);

    function assertEq(uint256 given, uint256 expected, string memory what) internal pure {
        if (given != expected) revert NotEqual(what, given, expected);
    }

    function assertTrue(bool holds, string memory what) internal pure {
        if (!holds) revert NotTrue(what);
    }

    /// @notice Folds any number into [min, max].
    function bound(uint256 x, uint256 min, uint256 max) internal pure returns (uint256) {
        unchecked {
            uint256 size = max - min + 1;
            return size == 0 ? x : min + (x % size);
        }
    }

    /// @dev The compiler may take block.timestamp for a constant within a call; a warp changes it.
    function nowS() internal view returns (uint256) {
        return vm.getBlockTimestamp();
    }
}
