"""How long a deposit lasts: what is warned of, and when."""

from api.jobs.market.cover import DAY_S, DAYS_WARNED, Outlook, outlook_of

NEEDED_NANO = 3_000_000_000  # 10 kWh at 0.30.
SPENT_A_DAY_NANO = 1_000_000_000


def outlook(*, cover_nano: int, next_cover_nano: int, spent_nano: int = 0) -> Outlook:
    return outlook_of(
        cover_nano=cover_nano,
        next_cover_nano=next_cover_nano,
        imports_wh={0: 10_000, DAY_S: 4_000},
        amount_nano=-spent_nano,
        seconds=DAY_S,
        grid_import_per_kwh=300_000,
    )


def test_what_is_needed_is_the_most_that_any_period_took() -> None:
    assert outlook(cover_nano=0, next_cover_nano=0).needed_nano == NEEDED_NANO


def test_a_request_warns_at_once_of_the_period_that_it_leaves_uncovered() -> None:
    found = outlook(cover_nano=NEEDED_NANO, next_cover_nano=NEEDED_NANO - 1)
    assert (found.is_covered, found.warning) == (True, "cover_lost")


def test_a_deposit_ends_the_warning_though_the_period_that_runs_stays_uncovered() -> None:
    found = outlook(cover_nano=NEEDED_NANO - 1, next_cover_nano=NEEDED_NANO)
    assert (found.is_covered, found.warning) == (False, None)


def test_a_warning_comes_days_before_cover_is_lost() -> None:
    enough_nano = NEEDED_NANO + DAYS_WARNED * SPENT_A_DAY_NANO
    for next_cover_nano, warning in (
        (enough_nano, None),
        (enough_nano - 1, "cover_low"),
        (NEEDED_NANO, "cover_low"),
        (NEEDED_NANO - 1, "cover_lost"),
    ):
        found = outlook(
            cover_nano=enough_nano, next_cover_nano=next_cover_nano, spent_nano=SPENT_A_DAY_NANO
        )
        assert found.warning == warning


def test_a_deposit_lasts_as_many_days_as_it_pays_for() -> None:
    for spent_nano, days in ((SPENT_A_DAY_NANO, 7), (0, None), (-5, None)):
        found = outlook(cover_nano=0, next_cover_nano=7_999_999_999, spent_nano=spent_nano)
        assert found.lasts_days == days
