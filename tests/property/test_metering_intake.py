"""What holds of intake for any requests, one after the other."""

from datetime import timedelta
from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from metering.intake import JUMP_TOLERANCE_WH, StoredVersion, Verdict, judge_meter
from metering.readings import Reading
from tests.meter_worlds import NOON, reading, term

LIMIT_W = 1_000
TERMS = [term(limit_w=LIMIT_W)]

# Few instants and few values, so that ties, revisions and replays are common.
candidates = st.builds(
    lambda second, import_wh, export_wh: reading(
        NOON + timedelta(seconds=second), import_wh, export_wh
    ),
    st.sampled_from([0, 1, 900, 1_800, 3_600, 7_200]),
    st.sampled_from([0, 1, 100, 101, 350, 351, 600, 1_100, 1_101, 10**12]) | st.integers(0, 2_500),
    st.sampled_from([0, 0, 0, 1, 101]),
)
requests = st.lists(st.lists(candidates, max_size=8), min_size=1, max_size=4)


class Shelf:
    """All versions of one meter, in the order in which they were accepted."""

    def __init__(self) -> None:
        self.rows: list[StoredVersion] = []
        self.arrived: list[Reading] = []

    def take(self, request: list[Reading]) -> Verdict:
        in_order = sorted(self.rows, key=lambda row: (row.taken_s, row.version))
        verdict = judge_meter(dict(enumerate(request)), in_order, TERMS)
        for index, version in verdict.accepted:
            self.arrived.append(request[index])
            self.rows.append(
                StoredVersion(
                    taken_s=int(request[index].taken_at.timestamp()),
                    version=version,
                    import_wh=request[index].import_wh,
                    export_wh=request[index].export_wh,
                )
            )
        return verdict

    def series(self) -> list[StoredVersion]:
        latest = {row.taken_s: row for row in sorted(self.rows, key=lambda row: row.version)}
        return [latest[taken_s] for taken_s in sorted(latest)]


@given(requests=requests)
def test_each_row_is_accepted_or_a_duplicate_or_refused_and_only_one_of_them(
    requests: list[list[Reading]],
) -> None:
    shelf = Shelf()
    for request in requests:
        verdict = shelf.take(request)
        accepted = [index for index, _ in verdict.accepted]
        assert sorted([*accepted, *verdict.duplicates, *verdict.rejected]) == list(
            range(len(request))
        )


@given(requests=requests)
def test_the_series_never_decreases_and_never_jumps(requests: list[list[Reading]]) -> None:
    shelf = Shelf()
    for request in requests:
        shelf.take(request)
        for earlier, later in pairwise(shelf.series()):
            rise_wh_max = LIMIT_W * (later.taken_s - earlier.taken_s) // 3_600 + JUMP_TOLERANCE_WH
            assert 0 <= later.import_wh - earlier.import_wh <= rise_wh_max
            assert 0 <= later.export_wh - earlier.export_wh <= rise_wh_max


@given(requests=requests)
def test_versions_of_an_instant_count_from_one_without_gaps_and_all_differ(
    requests: list[list[Reading]],
) -> None:
    shelf = Shelf()
    for request in requests:
        shelf.take(request)
    for taken_s in {row.taken_s for row in shelf.rows}:
        rows = [row for row in shelf.rows if row.taken_s == taken_s]
        assert [row.version for row in rows] == list(range(1, len(rows) + 1))
        assert len({(row.import_wh, row.export_wh) for row in rows}) == len(rows)


@given(requests=requests)
def test_sending_everything_that_was_accepted_again_changes_nothing(
    requests: list[list[Reading]],
) -> None:
    shelf = Shelf()
    for request in requests:
        shelf.take(request)
    before, replay = shelf.series(), list(shelf.arrived)
    verdict = shelf.take(replay)
    assert verdict.duplicates == list(range(len(replay)))
    assert shelf.series() == before


@settings(max_examples=30)
@given(steps=st.lists(st.tuples(st.integers(0, 250), st.integers(0, 250)), min_size=1, max_size=4))
def test_good_readings_are_accepted_in_any_order_one_by_one(steps: list[tuple[int, int]]) -> None:
    rows, import_wh, export_wh = [], 0, 0
    for index, (import_step, export_step) in enumerate(steps):
        import_wh, export_wh = import_wh + import_step, export_wh + export_step
        rows.append(reading(NOON + timedelta(seconds=900 * index), import_wh, export_wh))
    results = []
    for order in permutations(rows):
        shelf = Shelf()
        for row in order:
            assert not shelf.take([row]).rejected
        results.append(shelf.series())
    assert all(series == results[0] for series in results)
