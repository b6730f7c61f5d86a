"""What the prosumer's page computes: stretches of local time, bars, savings, limits by period."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.jobs.market.views import AccountView, LimitsView, PeriodState, WindowLine
from api.pages.bars import HEIGHT, Bar, Panel, Part, top_of
from api.pages.catalogue import LANGUAGES
from api.pages.home.answers import answer_of, lede_of
from api.pages.home.energy import Energy, energy_of_day, reasons_of
from api.pages.home.money import lasting_of, limits_of, safe_of
from api.pages.home.stretches import DAY_MAX, DAY_MIN, Stretch, View, hours_of
from api.pages.home.wording import Wording
from api.pages.words import Words, digits_of
from ledger.bills import member_bill
from ledger.periods import Schedule
from ledger.units import AccountId, Address, from_unix_s, to_unix_s
from ledger.words import StatementRow, WindowPrice

# A slow machine is no failure.
EXAMPLES = settings(max_examples=60, deadline=None)
BERLIN = ZoneInfo("Europe/Berlin")
NB = "\N{NO-BREAK SPACE}"
PRICE = WindowPrice(
    local_per_kwh=180_000,
    local_fee_per_kwh=20_000,
    grid_import_per_kwh=300_000,
    grid_export_per_kwh=80_000,
)
SCHEDULE = Schedule(
    first_period_start_s=to_unix_s(datetime(2016, 6, 1, tzinfo=UTC)),
    window_s=3_600,
    period_windows=24,
    grace_s=0,
    dispute_period_s=0,
    finalize_within_s=0,
)


def wording(tag: str = "en") -> Wording:
    return Wording(words=Words(language=LANGUAGES[tag], zone=BERLIN, currency="EUR"))


def day(year: int, month: int, number: int, zone: ZoneInfo = BERLIN) -> Stretch:
    return Stretch.around(View.DAY, date(year, month, number), zone)


def line(start_at: datetime, *, residual: str = "settled", **row: int | bool) -> WindowLine:
    shown = StatementRow(**{"import_wh": 0, "export_wh": 0, **row})  # type: ignore[arg-type]
    return WindowLine(
        start_s=to_unix_s(start_at),
        period_start_s=SCHEDULE.period_start_of(to_unix_s(start_at)),
        row=shown,
        price=PRICE,
        bill=member_bill(shown, PRICE, residual),
        run=0,
        state=PeriodState.FINAL,
        is_known=True,
    )


# Local time.


@pytest.mark.parametrize(
    ("zone", "the_day", "hours"),
    [
        ("Europe/Berlin", date(2016, 3, 27), 23),
        ("Europe/Berlin", date(2016, 10, 30), 25),
        ("Europe/Berlin", date(2016, 6, 7), 24),
        ("Asia/Kolkata", date(2016, 6, 7), 24),
        ("UTC", date(2016, 10, 30), 24),
    ],
)
def test_a_local_day_has_as_many_hours_as_its_clock_shows(
    zone: str, the_day: date, hours: int
) -> None:
    assert hours_of(Stretch.around(View.DAY, the_day, ZoneInfo(zone))) == hours


@pytest.mark.parametrize(("month", "number", "windows"), [(3, 27, 23), (10, 30, 25), (6, 7, 24)])
def test_a_day_shows_each_of_its_windows_once(month: int, number: int, windows: int) -> None:
    shown = energy_of_day(day(2016, month, number), 3_600, [], wording())
    times = [row.machine_time for row in shown.rows]
    assert len(times) == len(set(times)) == windows
    assert times == sorted(times, key=datetime.fromisoformat)
    assert times[0].endswith("T00:00:00+01:00" if month == 3 else "T00:00:00+02:00")


def test_where_midnight_lies_within_a_window_the_day_begins_with_the_next() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")  # Five hours and a half ahead.
    words = Wording(words=Words(language=LANGUAGES["en"], zone=kolkata, currency="INR"))
    shown = energy_of_day(day(2016, 6, 7, kolkata), 3_600, [], words)
    assert [row.label for row in shown.rows][:2] == ["00:30", "01:30"]
    assert len(shown.rows) == 24


@EXAMPLES
@given(
    view=st.sampled_from(View),
    the_day=st.dates(min_value=DAY_MIN, max_value=DAY_MAX),
    zone=st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo", "UTC"]),
)
def test_stretches_follow_each_other_without_gap_or_overlap(
    view: View, the_day: date, zone: str
) -> None:
    stretch = Stretch.around(view, the_day, ZoneInfo(zone))
    assert stretch.holds(the_day)
    assert stretch.before.end_at == stretch.start_at < stretch.end_at == stretch.after.start_at
    assert stretch.before.after == stretch == stretch.after.before
    parts = list(stretch.parts())
    if parts:
        assert (parts[0].start_at, parts[-1].end_at) == (stretch.start_at, stretch.end_at)
        assert all(one.end_at == other.start_at for one, other in pairwise(parts))


# Figures.


@EXAMPLES
@given(
    import_wh=st.integers(0, 10**8),
    export_wh=st.integers(0, 10**8),
    shares=st.tuples(st.fractions(0, 1), st.fractions(0, 1)),
    uncovered=st.booleans(),
    residual=st.sampled_from(["settled", "external"]),
)
def test_the_reasons_add_up_to_what_was_saved(
    import_wh: int, export_wh: int, shares: tuple[int, int], uncovered: bool, residual: str
) -> None:
    window = line(
        datetime(2016, 6, 7, tzinfo=UTC),
        residual=residual,
        import_wh=import_wh,
        export_wh=export_wh,
        bought_wh=0 if uncovered else int(import_wh * shares[0]),
        sold_wh=int(export_wh * shares[1]),
        uncovered=uncovered,
    )
    assert sum(reason.saved_nano for reason in reasons_of(window)) == window.saved_nano


@EXAMPLES
@given(amounts_nano=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_with_a_columns_digits_every_amount_is_exact_and_ends_below_the_others(
    amounts_nano: list[int],
) -> None:
    least = digits_of(amounts_nano)
    words = wording().words
    shown = [words.tokens_nano(amount_nano, least=least) for amount_nano in amounts_nano]
    assert {len(text.rpartition(".")[2]) for text in shown} == {least}
    read_back = [int(text.replace(",", "").replace(".", "")) * 10 ** (9 - least) for text in shown]
    assert read_back == amounts_nano


def test_what_is_not_known_is_no_zero() -> None:
    start_at = datetime(2016, 6, 6, 22, tzinfo=UTC)  # Midnight in Berlin.
    lines = [line(start_at, import_wh=100)]
    shown = energy_of_day(day(2016, 6, 7), 3_600, lines, wording())
    assert [row.figures is None for row in shown.rows] == [False] + [True] * 23
    assert shown.unknown == 23
    assert ("home.lede.unknown", {"n": 23}) in lede_of(shown, wording())


@pytest.mark.parametrize("tag", sorted(LANGUAGES))
def test_the_answer_names_what_was_sold_and_what_it_brought(tag: str) -> None:
    start_at = datetime(2016, 6, 7, 10, tzinfo=UTC)
    lines = [line(start_at, import_wh=500, export_wh=6_200, sold_wh=6_200)]
    shown = energy_of_day(day(2016, 6, 7), 3_600, lines, wording(tag))
    said = " ".join(
        wording(tag).words(key, **facts) for key, facts in answer_of(shown, wording(tag))
    )
    assert (
        said
        == {
            "en": f"On Tuesday 7 June 2016 your roof sold 6.2{NB}kWh for €1.12. You saved €0.62.",
            "fr": f"Le mardi 7 juin 2016, votre toit a vendu 6,2{NB}kWh pour 1,12{NB}€. "
            f"Vous avez économisé 0,62{NB}€.",
        }[tag]
    )


def test_a_day_without_trade_is_told_apart_from_one_that_nobody_measured() -> None:
    nothing = energy_of_day(day(2016, 6, 7), 3_600, [], wording())
    idle = energy_of_day(
        day(2016, 6, 7), 3_600, [line(datetime(2016, 6, 7, tzinfo=UTC), import_wh=5)], wording()
    )
    assert key_of(nothing) == "home.answer.unknown"
    assert key_of(idle) == "home.answer.none"


def key_of(energy: Energy) -> str:
    return answer_of(energy, wording())[0][0]


# Bars.


@EXAMPLES
@given(
    columns=st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=40
    )
)
def test_stacked_parts_meet_and_stay_inside_the_picture(columns: list[tuple[int, int]]) -> None:
    bars = tuple(
        Bar(
            label="",
            title="",
            parts=(Part(kind="sold", energy_wh=one), Part(kind="to_grid", energy_wh=other)),
        )
        for one, other in columns
    )
    panel = Panel(bars=bars, top_wh=top_of(bars))
    assert panel.top_wh >= max(one + other for one, other in columns)
    for place, (one, other) in enumerate(columns):
        own = [box for box in panel.boxes() if box.x == place * 10 + 1]
        height = sum(box.height for box in own)
        assert height == HEIGHT * (one + other) // panel.top_wh <= HEIGHT
        assert all(box.y + box.height <= HEIGHT and box.y >= 0 for box in own)
        bottoms = [box.y + box.height for box in own]
        tops = [box.y for box in own]
        assert bottoms[1:] == tops[:-1]


def test_the_scale_ends_a_little_above_the_highest_bar() -> None:
    bar = Bar(label="", title="", parts=(Part(kind="sold", energy_wh=2_280),))
    assert top_of([bar]) == 2_500
    assert top_of([]) == 100


# Money.


def account(**facts: object) -> AccountView:
    given_facts = {
        "account": AccountId(3),
        "owner": Address(bytes(20)),
        "name": None,
        "balance_nano": 0,
        "pending_nano": 0,
        "unsettled_nano": 0,
        "requested_micro": 0,
        "requested_at": None,
        "withdrawable_at": None,
        "cover_nano": 0,
        "next_cover_nano": 0,
        "needed_nano": 0,
        "spent_per_day_nano": 1,
        "lasts_days": None,
        "is_covered": True,
        "warning": None,
        "limits": (),
        "nonces": (1, 1),
        "meters": (),
        **facts,
    }
    return AccountView(**given_facts)  # type: ignore[arg-type]


def limits(effective_from: datetime, *, sell: int, buy: int | None = None) -> LimitsView:
    return LimitsView(effective_from=effective_from, max_buy_per_kwh=buy, min_sell_per_kwh=sell)


def test_limits_hold_from_the_first_period_that_starts_when_they_are_effective() -> None:
    running_at = datetime(2016, 6, 7, tzinfo=UTC)
    now_s = to_unix_s(running_at) + 12 * 3_600
    set_now = from_unix_s(now_s - 60)
    view = account(
        limits=(
            limits(running_at - timedelta(days=1), sell=1),
            limits(set_now, sell=2),
            limits(set_now + timedelta(seconds=30), sell=3),
        )
    )
    lines = limits_of(view, SCHEDULE, now_s)
    assert [(each.from_at, each.is_in_force, each.min_sell_per_kwh) for each in lines] == [
        (running_at, True, 1),
        (running_at + timedelta(days=1), False, 3),
    ]


def test_limits_that_were_set_later_but_begin_earlier_win() -> None:
    running_at = datetime(2016, 6, 7, tzinfo=UTC)
    view = account(
        limits=(
            limits(running_at + timedelta(days=3), sell=9),
            limits(running_at + timedelta(days=1), sell=4),
        )
    )
    lines = limits_of(view, SCHEDULE, to_unix_s(running_at))
    assert [(each.from_at.day, each.min_sell_per_kwh) for each in lines] == [(8, 4), (10, 4)]


def test_who_has_set_no_limits_is_offered_those_with_which_nobody_can_lose() -> None:
    safe = safe_of(account(), grid_export_per_kwh=80_000, grid_import_per_kwh=300_000)
    assert (safe.form_sell_per_kwh, safe.form_buy_per_kwh) == (80_000, 300_000)
    own = account(limits=(limits(datetime(2016, 6, 7, tzinfo=UTC), sell=0, buy=None),))
    kept = safe_of(own, grid_export_per_kwh=80_000, grid_import_per_kwh=300_000)
    assert (kept.form_sell_per_kwh, kept.form_buy_per_kwh) == (0, None)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"lasts_days": 12}, "days"),
        ({"lasts_days": 0}, "over"),
        ({"lasts_days": None, "spent_per_day_nano": -5}, "grows"),
        ({"lasts_days": None, "spent_per_day_nano": 0}, "unspent"),
    ],
)
def test_how_long_a_deposit_lasts_is_said_in_words(facts: dict[str, object], kind: str) -> None:
    assert lasting_of(account(**facts)).kind == kind
