// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../../contracts/interfaces/IEnergyMarket.sol";
import {Forge} from "./Forge.sol";
import {ILanes} from "./ILanes.sol";
import {Plain} from "./Plain.sol";

contract DeltaWordsTest is Forge {
    ILanes private lanes;

    function setUp() public {
        lanes = ILanes(vm.deployCode("Lanes.sol", ""));
    }

    function testFuzz_a_lane_reads_back_what_was_written(int64[12] memory given) public view {
        int256[] memory deltasNano = new int256[](12);
        for (uint256 a = 0; a < 12; ++a) {
            deltasNano[a] = given[a];
        }
        uint256[] memory words = Plain.encode(deltasNano);
        for (uint256 a = 0; a < 12; ++a) {
            assertTrue(lanes.lane(words[a / 4], a % 4) == given[a], "lane");
        }
    }

    function test_lanes_at_their_ends_do_not_touch_each_other() public view {
        int64[3] memory ends = [type(int64).min, -1, type(int64).max];
        for (uint256 i = 0; i < 81; ++i) {
            int256[] memory deltasNano = new int256[](4);
            for (uint256 k = 0; k < 4; ++k) {
                deltasNano[k] = ends[(i / 3 ** k) % 3];
            }
            uint256 word = Plain.encode(deltasNano)[0];
            for (uint256 k = 0; k < 4; ++k) {
                assertTrue(lanes.lane(word, k) == deltasNano[k], "lane");
            }
        }
    }

    function testFuzz_the_root_equals_a_plain_merkle_root(uint256 seed, uint256 count) public view {
        uint256[] memory words = new uint256[](bound(count, 1, 200));
        for (uint256 i = 0; i < words.length; ++i) {
            words[i] = uint256(keccak256(abi.encode(seed, i)));
        }
        assertTrue(lanes.root(words) == Plain.root(words), "root");
    }

    function test_the_root_of_the_largest_community_equals_the_plain_one() public view {
        uint256[] memory words = new uint256[](2048);
        for (uint256 i = 0; i < words.length; ++i) {
            words[i] = i * i + 1;
        }
        assertTrue(lanes.root(words) == Plain.root(words), "root");
    }

    /// @dev The padding is part of the root, so it says nothing about words that are zero.
    function testFuzz_a_word_of_the_root_cannot_change(uint256 seed, uint256 count, uint256 which)
        public
        view
    {
        uint256[] memory words = new uint256[](bound(count, 1, 40));
        for (uint256 i = 0; i < words.length; ++i) {
            words[i] = uint256(keccak256(abi.encode(seed, i)));
        }
        bytes32 root = lanes.root(words);
        words[bound(which, 0, words.length - 1)] ^= 1;
        assertTrue(lanes.root(words) != root, "root");
    }

    function testFuzz_the_shape_is_one_word_for_four_accounts(uint256 accounts, uint256 words)
        public
    {
        (accounts, words) = (bound(accounts, 1, 100), bound(words, 0, 30));
        uint256 expected = (accounts + 3) / 4;
        if (words != expected) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IEnergyMarket.EnergyMarket_WrongDeltaCount.selector, words, expected
                )
            );
        }
        lanes.requireShape(new uint256[](words), accounts);
    }

    function testFuzz_unused_lanes_must_be_zero(uint256 accounts, int64[4] memory given) public {
        accounts = bound(accounts, 1, 4);
        int256[] memory deltasNano = new int256[](4);
        bool clean = true;
        for (uint256 k = 0; k < 4; ++k) {
            deltasNano[k] = given[k];
            if (k >= accounts && given[k] != 0) clean = false;
        }
        uint256[] memory words = Plain.encode(deltasNano);
        if (!clean) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IEnergyMarket.EnergyMarket_UnusedLanes.selector, words[0], accounts
                )
            );
        }
        lanes.requireShape(words, accounts);
        // A negative last lane borrows from the unused one above, which is no reason to refuse it.
        for (uint256 k = accounts; k < 4; ++k) {
            deltasNano[k] = 0;
        }
        lanes.requireShape(Plain.encode(deltasNano), accounts);
    }
}
