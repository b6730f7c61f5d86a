// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IMeterRegistry} from "../../contracts/interfaces/IMeterRegistry.sol";
import {Forge} from "./Forge.sol";

interface IDemoToken {
    function mint(address to, uint256 amountMicro) external;
    function balanceOf(address) external view returns (uint256);
    function decimals() external view returns (uint8);
}

contract MeterRegistryTest is Forge {
    address private constant REGISTRAR = address(0xA1);
    bytes32 private constant METER = keccak256("meter");
    uint64 private constant OPEN = type(uint64).max;

    IMeterRegistry private registry;

    function setUp() public {
        vm.warp(1_000_000);
        registry = IMeterRegistry(vm.deployCode("MeterRegistry.sol", abi.encode(REGISTRAR)));
    }

    function test_a_meter_begins_changes_ends_and_begins_again() public {
        _begin(METER, 3, 500); // a first term may begin in the past
        _begin(METER, 4, 1_000_010); // and a later one ends it
        IMeterRegistry.Term[] memory terms = registry.termsOf(METER);
        assertEq(terms[0].validUntil, 1_000_010, "ended by the second");
        assertEq(terms[1].validUntil, OPEN, "open");
        vm.prank(REGISTRAR);
        registry.end(METER, 1_000_020);
        vm.expectRevert(
            abi.encodeWithSelector(IMeterRegistry.MeterRegistry_NotOpen.selector, METER, 1_000_020)
        );
        vm.prank(REGISTRAR);
        registry.end(METER, 1_000_030);
        _begin(METER, 5, 1_000_020);
        assertEq(registry.termsOf(METER).length, 3, "terms");
        assertEq(registry.termsOf(METER)[1].validUntil, 1_000_020, "an ended term stays");
    }

    function test_no_term_reaches_back() public {
        _begin(METER, 3, 500);
        _rewrites(999_999, 1_000_000);
        _begin(METER, 3, 1_000_100);
        _rewrites(1_000_099, 1_000_100);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMeterRegistry.MeterRegistry_RewritesHistory.selector, METER, 1_000_100, 1_000_101
            )
        );
        vm.prank(REGISTRAR);
        registry.end(METER, 1_000_100);
        vm.prank(REGISTRAR);
        registry.end(METER, 1_000_200);
        _rewrites(1_000_199, 1_000_200);
        _rewrites(OPEN, 1_000_200);
    }

    function test_what_is_not_a_meter_is_refused() public {
        vm.expectRevert(abi.encodeWithSelector(IMeterRegistry.MeterRegistry_ZeroMeter.selector));
        _begin(0, 3, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IMeterRegistry.MeterRegistry_ReservedAccount.selector, METER, 1)
        );
        _begin(METER, 1, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IMeterRegistry.MeterRegistry_ZeroKey.selector, METER)
        );
        vm.prank(REGISTRAR);
        registry.begin(METER, address(0), 2, IMeterRegistry.MeterClass.gateway, 1, 1);
        uint64[2] memory wrong = [uint64(0), 10 ** 9 + 1];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IMeterRegistry.MeterRegistry_LimitOutOfRange.selector, METER, wrong[i], 10 ** 9
                )
            );
            vm.prank(REGISTRAR);
            registry.begin(METER, REGISTRAR, 2, IMeterRegistry.MeterClass.gateway, wrong[i], 1);
        }
        vm.expectRevert(
            abi.encodeWithSelector(IMeterRegistry.MeterRegistry_UnknownMeter.selector, METER)
        );
        vm.prank(REGISTRAR);
        registry.end(METER, 2_000_000);
    }

    function testFuzz_nobody_but_the_registrar_changes_anything(address caller) public {
        vm.assume(caller != REGISTRAR && caller != address(vm));
        bytes memory reason =
            abi.encodeWithSelector(IMeterRegistry.MeterRegistry_NotRegistrar.selector, caller);
        vm.expectRevert(reason);
        vm.prank(caller);
        registry.begin(METER, caller, 2, IMeterRegistry.MeterClass.certified, 1, 1);
        vm.expectRevert(reason);
        vm.prank(caller);
        registry.end(METER, 1);
        vm.expectRevert(reason);
        vm.prank(caller);
        registry.announceRegistrar(caller);
        if (caller == address(0)) return; // nobody calls from there
        vm.expectRevert(
            abi.encodeWithSelector(IMeterRegistry.MeterRegistry_NotAnnounced.selector, caller)
        );
        vm.prank(caller);
        registry.acceptRegistrar();
    }

    function test_the_role_is_handed_on_in_two_steps() public {
        vm.prank(REGISTRAR);
        registry.announceRegistrar(address(0xA2));
        assertTrue(registry.registrar() == REGISTRAR, "not yet");
        vm.prank(address(0xA2));
        registry.acceptRegistrar();
        assertTrue(registry.registrar() == address(0xA2), "now");
        vm.expectPartialRevert(IMeterRegistry.MeterRegistry_NotAnnounced.selector);
        vm.prank(address(0xA2));
        registry.acceptRegistrar();
    }

    function test_there_is_a_registrar_from_the_start() public {
        bytes memory code = bytes.concat(vm.getCode("MeterRegistry.sol"), abi.encode(address(0)));
        vm.expectRevert(abi.encodeWithSelector(IMeterRegistry.MeterRegistry_ZeroRegistrar.selector));
        assembly {
            pop(create(0, add(code, 32), mload(code)))
        }
    }

    function test_only_its_owner_makes_demo_tokens() public {
        IDemoToken token = IDemoToken(vm.deployCode("SettlementToken.sol", abi.encode(REGISTRAR)));
        assertEq(token.decimals(), 6, "decimals");
        vm.prank(REGISTRAR);
        token.mint(address(1), 5);
        assertEq(token.balanceOf(address(1)), 5, "made");
        vm.expectRevert(
            abi.encodeWithSignature("OwnableUnauthorizedAccount(address)", address(this))
        );
        token.mint(address(1), 5);
    }

    /* INTERNAL */

    function _begin(bytes32 meterId, uint32 account, uint64 validFrom) private {
        vm.prank(REGISTRAR);
        registry.begin(
            meterId, address(0xB1), account, IMeterRegistry.MeterClass.certified, 9, validFrom
        );
    }

    function _rewrites(uint64 validFrom, uint64 earliest) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IMeterRegistry.MeterRegistry_RewritesHistory.selector, METER, validFrom, earliest
            )
        );
        _begin(METER, 3, validFrom);
    }
}

/// @notice Any registrar, at any times, against a plain memory of what was said.
contract RegistryHandler is Forge {
    IMeterRegistry private immutable _REGISTRY;
    address private immutable _REGISTRAR;
    mapping(bytes32 meterId => IMeterRegistry.Term[]) private _said;

    constructor(IMeterRegistry registry, address registrar) {
        (_REGISTRY, _REGISTRAR) = (registry, registrar);
    }

    function begin(uint8 meter, uint32 account, uint64 limitW, uint64 validFrom, bool near)
        external
    {
        if (near) validFrom = uint64(bound(validFrom, nowS() - 50, nowS() + 50));
        bytes32 meterId = _meter(meter);
        vm.prank(_REGISTRAR);
        try _REGISTRY.begin(
            meterId, address(0xB1), account, IMeterRegistry.MeterClass.gateway, limitW, validFrom
        ) {}
            catch {}
        _nothingWasRewritten(meterId);
    }

    function end(uint8 meter, uint64 validUntil) external {
        bytes32 meterId = _meter(meter);
        vm.prank(_REGISTRAR);
        try _REGISTRY.end(meterId, uint64(bound(validUntil, nowS() - 50, nowS() + 50))) {} catch {}
        _nothingWasRewritten(meterId);
    }

    function wait(uint16 forS) external {
        vm.warp(nowS() + forS % 100);
    }

    /// @notice Terms follow each other; none overlaps the next.
    function requireOrdered() external view {
        for (uint8 meter = 0; meter < 3; ++meter) {
            IMeterRegistry.Term[] memory terms = _REGISTRY.termsOf(_meter(meter));
            for (uint256 i = 0; i + 1 < terms.length; ++i) {
                assertTrue(terms[i].validFrom <= terms[i].validUntil, "a term runs forward");
                assertTrue(terms[i].validUntil <= terms[i + 1].validFrom, "no overlap");
            }
        }
    }

    /// @dev What was valid at an instant that has passed is the same for ever.
    function _nothingWasRewritten(bytes32 meterId) private {
        IMeterRegistry.Term[] memory terms = _REGISTRY.termsOf(meterId);
        IMeterRegistry.Term[] storage said = _said[meterId];
        assertTrue(terms.length >= said.length, "no term is lost");
        for (uint256 i = 0; i < said.length; ++i) {
            IMeterRegistry.Term memory old = said[i];
            uint64 until = old.validUntil;
            if (terms[i].validUntil != until) {
                assertTrue(until == type(uint64).max, "an end is never changed");
                assertTrue(terms[i].validUntil >= nowS(), "and never lies in the past");
            }
            old.validUntil = terms[i].validUntil;
            assertTrue(keccak256(abi.encode(old)) == keccak256(abi.encode(terms[i])), "same term");
            said[i].validUntil = terms[i].validUntil;
        }
        for (uint256 i = said.length; i < terms.length; ++i) {
            said.push(terms[i]);
        }
    }

    function _meter(uint8 meter) private pure returns (bytes32) {
        return bytes32(uint256(meter % 3));
    }
}

contract MeterRegistryInvariants is Forge {
    RegistryHandler private handler;

    function setUp() public {
        vm.warp(1_000_000);
        address registrar = address(0xA1);
        handler = new RegistryHandler(
            IMeterRegistry(vm.deployCode("MeterRegistry.sol", abi.encode(registrar))), registrar
        );
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_history_is_never_rewritten() public view {
        handler.requireOrdered();
    }
}
