"""Intake judges a meter's series as it stands after the whole file or request."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from ledger.units import to_unix_s
from metering.errors import BadRow, Problem, TimeInFuture
from metering.intake import (
    CLOCK_TOLERANCE,
    JUMP_TOLERANCE_WH,
    IntakeResult,
    StoredVersion,
    admit,
    judge_meter,
)
from metering.meters import MeterBook, MeterTerm
from metering.readings import Reading
from tests.meter_worlds import (
    HOUR,
    LATER,
    NOON,
    OTHER_KEY,
    checked,
    meter,
    reading,
    term,
)

BOOK = MeterBook([term()])
Outcome = tuple[list[int], list[int], dict[int, str]]


def stored(*readings: Reading) -> list[StoredVersion]:
    """These readings as the store knows them, in order of arrival."""
    versions: dict[int, int] = {}
    rows = []
    for each in readings:
        taken_s = to_unix_s(each.taken_at)
        versions[taken_s] = versions.get(taken_s, 0) + 1
        rows.append(
            StoredVersion(
                taken_s=taken_s,
                version=versions[taken_s],
                import_wh=each.import_wh,
                export_wh=each.export_wh,
            )
        )
    return sorted(rows, key=lambda row: (row.taken_s, row.version))


def outcome(
    *candidates: Reading,
    known: Sequence[Reading] = (),
    terms: Sequence[MeterTerm] = BOOK.terms_of_meter(meter(1)),
) -> Outcome:
    verdict = judge_meter(dict(enumerate(candidates)), stored(*known), terms)
    codes = {index: error.code for index, error in verdict.rejected.items()}
    return sorted(index for index, _ in verdict.accepted), sorted(verdict.duplicates), codes


def at(hours: int, import_wh: int, export_wh: int = 0) -> Reading:
    return reading(NOON + hours * HOUR, import_wh, export_wh)


def test_readings_that_rise_are_accepted_in_whatever_order_they_come() -> None:
    assert outcome(at(2, 30), at(0, 10), at(1, 20)) == ([0, 1, 2], [], {})


def test_a_register_may_stand_still() -> None:
    assert outcome(at(0, 10), at(1, 10)) == ([0, 1], [], {})


@pytest.mark.parametrize("values", [((5, 0), (4, 0)), ((0, 5), (0, 4))], ids=["import", "export"])
def test_a_register_that_decreases_is_refused(
    values: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    earlier, later = values
    assert outcome(at(0, *earlier), at(1, *later)) == ([0], [], {1: "register_decreased"})


def test_a_register_that_restarts_after_a_swap_is_refused_not_taken_for_a_rollover() -> None:
    known = [at(0, 999_999_990)]
    assert outcome(at(1, 3), known=known) == ([], [], {0: "register_decreased"})


@pytest.mark.parametrize("place", [0, 1], ids=["import", "export"])
def test_a_jump_is_more_than_the_limit_allows_in_the_time_and_no_less(place: int) -> None:
    rise_wh = 10_000 * 3_599 // 3_600 + JUMP_TOLERANCE_WH
    later_at = NOON + timedelta(seconds=3_599)
    for extra_wh, rejected in ((0, {}), (1, {0: "register_jump"})):
        registers = [0, 0]
        registers[place] = rise_wh + extra_wh
        later = reading(later_at, *registers)
        assert outcome(later, known=[at(0, 0)])[2] == rejected


def test_one_bad_row_never_sinks_the_others() -> None:
    rows = [at(0, 10), at(1, 20), at(2, 999_999), at(3, 40), at(4, 1), at(5, 60)]
    rejected = {2: "register_jump", 4: "register_decreased"}
    assert outcome(*rows) == ([0, 1, 3, 5], [], rejected)


def test_the_new_row_is_refused_when_a_stored_later_one_is_below_it() -> None:
    assert outcome(at(1, 50), at(0, 10), known=[at(2, 40)]) == ([1], [], {0: "register_decreased"})


def test_a_stored_row_is_never_refused_whatever_stands_around_it() -> None:
    known = [at(1, 100)]
    rows = [at(0, 500), at(2, 50), at(3, 60)]
    assert outcome(*rows, known=known)[0] == []
    assert set(outcome(*rows, known=known)[2]) == {0, 1, 2}


def test_two_stored_rows_that_conflict_are_left_alone() -> None:
    assert outcome(at(3, 60), known=[at(0, 50), at(1, 40)]) == ([0], [], {})


def test_the_same_reading_again_is_a_duplicate() -> None:
    assert outcome(at(0, 10), at(0, 10), known=[]) == ([0], [1], {})
    assert outcome(at(0, 10), known=[at(0, 10)]) == ([], [0], {})


def test_an_old_version_that_is_sent_again_never_becomes_the_latest() -> None:
    assert outcome(at(0, 10), known=[at(0, 10), at(0, 20)]) == ([], [0], {})
    assert outcome(at(0, 20), at(0, 10), known=[at(0, 10)]) == ([0], [1], {})


def test_another_value_for_the_same_instant_is_a_new_version() -> None:
    verdict = judge_meter({7: at(0, 20), 9: at(0, 30)}, stored(at(0, 10)), [term()])
    assert verdict.accepted == [(7, 2), (9, 3)]


def test_a_duplicate_of_a_refused_row_is_refused_for_the_same_reason() -> None:
    rejected = {1: "register_decreased", 2: "register_decreased"}
    assert outcome(at(0, 10), at(1, 5), at(1, 5)) == ([0], [], rejected)


def test_when_a_revision_is_refused_the_version_that_it_would_replace_stays() -> None:
    known = [at(0, 10), at(1, 20), at(2, 30)]
    # Judged against 20, not against the refused 9: 15 is a decrease.
    assert outcome(at(1, 9), at(2, 15), known=known)[2] == {
        0: "register_decreased",
        1: "register_decreased",
    }
    # Refused because of what is stored later, then 20 stands again and 25 fits after it.
    assert outcome(at(1, 31), known=known)[2] == {0: "register_decreased"}


def test_within_one_file_the_earlier_version_stands_when_the_later_one_is_refused() -> None:
    assert outcome(at(0, 10), at(1, 20), at(1, 5), at(2, 30)) == (
        [0, 1, 3],
        [],
        {2: "register_decreased"},
    )


def test_a_whole_file_with_another_register_origin_is_accepted() -> None:
    known = [at(hour, 10_000 + hour) for hour in range(20)]
    rows = [at(hour, 5 * hour) for hour in range(20)]
    assert outcome(*rows, known=known) == (list(range(20)), [], {})


def test_a_file_with_another_register_origin_that_leaves_one_instant_out_is_refused_there() -> None:
    known = [at(hour, 10_000 + hour) for hour in range(4)]
    accepted, _, rejected = outcome(at(0, 0), at(1, 5), at(3, 15), known=known)
    assert accepted == [0, 1]
    assert rejected == {2: "register_decreased"}


def test_a_limit_is_the_one_of_the_terms_between_the_two_readings() -> None:
    small = term(limit_w=1_000, valid_until=NOON + HOUR)
    large = term(limit_w=50_000, valid_from=NOON + HOUR)
    rows = [at(0, 0), at(1, 1_101), at(2, 51_000)]
    assert outcome(*rows, terms=[small, large])[2] == {1: "register_jump"}
    rows = [at(1, 0), at(2, 50_100), at(3, 100_201)]
    assert outcome(*rows, terms=[small, large])[2] == {2: "register_jump"}


def test_a_term_that_ends_at_the_earlier_reading_lends_its_limit_no_more() -> None:
    large = term(limit_w=50_000, valid_until=NOON)
    small = term(limit_w=1_000, valid_from=NOON)
    assert outcome(at(0, 0), at(1, 1_101), terms=[large, small])[2] == {1: "register_jump"}


def test_a_time_in_the_future_is_refused_beyond_what_clocks_differ() -> None:
    late = NOON + CLOCK_TOLERANCE
    batch = checked(reading(late, 1), reading(late + timedelta(seconds=1), 2), book=BOOK)
    by_meter, refused = admit(batch, BOOK, NOON)
    assert by_meter == {meter(1): [0]}
    assert isinstance(refused[1], TimeInFuture)


def test_what_a_signature_or_the_book_refuses_is_not_judged() -> None:
    book = MeterBook([term(valid_until=NOON + HOUR), term(meter(2), key=OTHER_KEY)])
    batch = checked(
        at(0, 1),
        at(2, 2),
        reading(NOON, 1, meter_id=meter(2)),
        reading(NOON, 1, meter_id=meter(3)),
        book=book,
    )
    by_meter, refused = admit(batch, book, LATER)
    assert by_meter == {meter(1): [0]}
    assert {index: error.code for index, error in refused.items()} == {
        1: "meter_not_valid_at",
        2: "bad_signature",
        3: "unknown_meter",
    }


def test_the_book_is_asked_again_at_intake() -> None:
    batch = checked(at(2, 1), book=BOOK)
    _, refused = admit(batch, MeterBook([term(valid_until=NOON)]), LATER)
    assert refused[0].code == "meter_not_valid_at"


def test_a_result_is_located_in_its_file() -> None:
    first, second = (Problem(position=index, error=BadRow(rule="x")) for index in (0, 2))
    result = IntakeResult(accepted=1, duplicates=0, rejected=(first, second))
    parsed = Problem(position=5, error=BadRow(rule="y"))
    located = result.located([2, 4, 7], [parsed])
    assert [problem.position for problem in located.rejected] == [2, 5, 7]
    assert located.accepted == 1
