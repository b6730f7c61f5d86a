"""The demo takes any file of registers, or says what is wrong with it and leaves nothing behind."""

from pathlib import Path

import pytest

from tests.e2e.command_line import Cli, Ran
from tests.e2e.registers import DAY_S, HEADER, KONSTANZ, expected_of, home, instant, line, write

START_S = 1_464_739_200  # 2016-06-01T00:00:00Z


def run_demo(cli: Cli, file: Path, data: Path, *, days: int = 1) -> Ran:
    words = ("--charging", "none", "--json")
    return cli("demo", "--registers", file, "--data-dir", data, "--days", days, *words)


def check(cli: Cli, tmp_path: Path, file: Path, *, window_s: int, days: int = 1) -> Ran:
    """Runs a demo of a file and compares it with the independent calculation."""
    ran = run_demo(cli, file, tmp_path / "data", days=days)
    assert ran.code == 0, ran.err
    expected = expected_of(file, window_s=window_s, days=days)
    assert {name: ran.document[name] for name in expected.counted} == expected.counted
    assert ran.document["audit"] == "ok"
    assert ran.document["money_sum_nano"] == "0"
    return ran


def pair(step_s: int, count: int, *, start_s: int = START_S) -> list[str]:
    return [
        *home("a", start_s=start_s, step_s=step_s, count=count, export_step_wh=70),
        *home("b", start_s=start_s, step_s=step_s, count=count, import_step_wh=130),
    ]


@pytest.mark.parametrize(
    ("step_s", "window_s"), [(900, 900), (1_800, 1_800), (300, 900), (420, 900), (7_200, 7_200)]
)
def test_the_window_is_the_files_step_but_at_least_a_quarter_of_an_hour(
    step_s: int, window_s: int, cli: Cli, tmp_path: Path
) -> None:
    file = write(tmp_path / "r.csv", pair(step_s, DAY_S // step_s + 1))
    ran = check(cli, tmp_path, file, window_s=window_s)
    assert ran.document["traded_wh"] > 0


def test_a_file_of_daily_readings_is_settled_by_windows_of_a_day(cli: Cli, tmp_path: Path) -> None:
    check(cli, tmp_path, write(tmp_path / "r.csv", pair(DAY_S, 3)), window_s=DAY_S, days=2)


@pytest.mark.parametrize("step_s", [1_500, 7 * DAY_S])
def test_a_step_that_does_not_divide_a_day_is_refused(
    step_s: int, cli: Cli, tmp_path: Path
) -> None:
    ran = run_demo(cli, write(tmp_path / "r.csv", pair(step_s, 60)), tmp_path / "data")
    assert (ran.code, ran.document["error"]["code"]) == (1, "bad_input")
    assert str(step_s) in ran.err
    assert not (tmp_path / "data").exists()


def test_more_days_than_the_file_has_settle_what_there_is(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "r.csv", pair(3_600, 40))
    ran = check(cli, tmp_path, file, window_s=3_600, days=30)
    assert ran.document["periods"] == 2


def test_fewer_days_than_the_file_has_settle_the_first_ones(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "r.csv", pair(3_600, 100))
    ran = check(cli, tmp_path, file, window_s=3_600, days=2)
    assert ran.document["periods"] == 2


def test_a_file_that_begins_at_six_in_the_evening_has_a_short_first_day(
    cli: Cli, tmp_path: Path
) -> None:
    file = write(tmp_path / "r.csv", pair(3_600, 31, start_s=START_S + 18 * 3_600))
    ran = check(cli, tmp_path, file, window_s=3_600, days=2)
    assert ran.document["periods"] == 2
    assert ran.document["windows"] == 30


def test_a_meter_that_stops_and_one_that_starts_late_hold_nothing_up(
    cli: Cli, tmp_path: Path
) -> None:
    lines = [
        *home("stops", start_s=START_S, step_s=3_600, count=30, export_step_wh=80),
        *home("late", start_s=START_S + 40 * 3_600, step_s=3_600, count=57),
        *home("whole", start_s=START_S, step_s=3_600, count=97),
    ]
    file = write(tmp_path / "r.csv", lines)
    ran = check(cli, tmp_path, file, window_s=3_600, days=4)
    assert ran.document["periods"] == 4


def test_gaps_and_meters_without_a_register_are_understood(cli: Cli, tmp_path: Path) -> None:
    lines = []
    for place in range(25):
        at_s = START_S + place * 3_600
        gap = place in {5, 6, 7, 13}
        lines.append(line("seller", at_s, 100 * place, None if gap else 900 * place))
        lines.append(line("buyer", at_s, None if place == 9 else 1_001 * place, None))
        if place != 20:
            lines.append(line("holes", at_s, 77 * place, None))
    ran = check(cli, tmp_path, write(tmp_path / "r.csv", lines), window_s=3_600)
    assert ran.document["readings"]["estimated"] == 5


def test_readings_between_the_hours_are_put_on_the_line_between_them(
    cli: Cli, tmp_path: Path
) -> None:
    lines = [
        *home("a", start_s=START_S + 420, step_s=3_600, count=24, export_step_wh=71),
        *home("b", start_s=START_S + 2_777, step_s=3_600, count=24, import_step_wh=139),
    ]
    check(cli, tmp_path, write(tmp_path / "r.csv", lines), window_s=3_600)


def test_one_meter_alone_trades_with_the_supplier_only(cli: Cli, tmp_path: Path) -> None:
    lines = home("only", start_s=START_S, step_s=3_600, count=25)
    ran = check(cli, tmp_path, write(tmp_path / "r.csv", lines), window_s=3_600)
    assert ran.document["traded_wh"] == 0


def test_one_single_reading_settles_nothing_and_is_no_failure(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "r.csv", [line("only", START_S, 5, 0)])
    ran = run_demo(cli, file, tmp_path / "data")
    assert (ran.code, ran.document["periods"], ran.document["windows"]) == (0, 0, 0), ran.err


def test_bad_lines_in_the_middle_are_listed_and_sink_nothing(cli: Cli, tmp_path: Path) -> None:
    lines = pair(3_600, 25)
    bad = ["a,2016-06-01T02:30:00Z,NaN,1", "a,yesterday,1.000,1.000", "b,x", "a,,,,,", '"b,1']
    lines[3:3] = bad
    file = write(tmp_path / "r.csv", lines)
    ran = run_demo(cli, file, tmp_path / "data")
    assert ran.code == 0, ran.err
    assert ran.document["readings"]["rejected"] == len(bad)
    clean = write(tmp_path / "clean.csv", pair(3_600, 25))
    expected = expected_of(clean, window_s=3_600, days=1)
    assert {name: ran.document[name] for name in expected.counted} == expected.counted


def test_a_byte_order_mark_other_columns_and_any_order_are_no_matter(
    cli: Cli, tmp_path: Path
) -> None:
    cells = [text.split(",") for text in pair(3_600, 25)]
    header = "grid_export_kwh,note,ts_utc,meter_id,grid_import_kwh"
    turned = [f"{export},x y,{at},{label},{imported}" for label, at, imported, export in cells]
    file = write(tmp_path / "r.csv", reversed(turned), header=header, bom=True)
    check(cli, tmp_path, file, window_s=3_600)


def test_labels_may_hold_spaces_quotes_commas_and_any_letters(cli: Cli, tmp_path: Path) -> None:
    labels = ["Straße 5, links", 'the "big" house', "家", "a b", "é" * 150]
    lines = [
        text
        for label in labels
        for text in home(label, start_s=START_S, step_s=3_600, count=25, export_step_wh=9)
    ]
    check(cli, tmp_path, write(tmp_path / "r.csv", lines), window_s=3_600)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (HEADER.encode() + b"\n", "empty_file"),
        (b"meter_id,ts_utc,grid_import_kwh\na,2016-06-01T00:00:00Z,1\n", "missing_column"),
        (b"\x00\x01\x02\xff\xfe", "unknown_format"),
        (HEADER.encode() + b"\na,never,1,1\n", "bad_input"),
    ],
)
def test_a_file_that_is_no_file_of_registers_is_refused_with_its_code(
    content: bytes, code: str, cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "r.csv"
    file.write_bytes(content)
    ran = run_demo(cli, file, tmp_path / "data")
    assert (ran.code, ran.document["error"]["code"]) == (1, code)
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_a_label_that_is_no_label_is_refused(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "r.csv", home("x" * 201, start_s=START_S, step_s=3_600, count=3))
    ran = run_demo(cli, file, tmp_path / "data")
    assert (ran.code, ran.document["error"]["code"]) == (1, "bad_input")


def test_a_clock_that_was_never_set_is_named(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "r.csv", home("a", start_s=0, step_s=3_600, count=25))
    ran = run_demo(cli, file, tmp_path / "data")
    assert (ran.code, ran.document["error"]["code"]) == (1, "bad_input")
    assert "1970-01-01T00:00:00Z" in ran.err
    assert not (tmp_path / "data").exists()


def test_a_file_of_the_future_fails_and_says_so(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "r.csv", home("a", start_s=4_070_908_800, step_s=3_600, count=25))
    ran = run_demo(cli, file, tmp_path / "data")
    assert (ran.code, ran.document["readings"]["rejected"]) == (1, 25)
    text = cli("demo", "--registers", file, "--data-dir", tmp_path / "data").out
    assert "time_in_future" in text


def test_a_missing_file_and_a_directory_are_named(cli: Cli, tmp_path: Path) -> None:
    for file in (tmp_path / "nowhere.csv", tmp_path):
        ran = run_demo(cli, file, tmp_path / "data")
        assert (ran.code, ran.document["error"]["code"]) == (1, "storage_failed")
        assert str(file) in ran.err


def test_a_second_demo_takes_the_place_of_the_first(demo_copy: Path, cli: Cli) -> None:
    ran = run_demo(cli, KONSTANZ, demo_copy, days=1)
    assert (ran.code, ran.document["periods"]) == (0, 1), ran.err


def test_a_refused_file_does_not_cost_the_earlier_demo(demo_copy: Path, cli: Cli) -> None:
    (demo_copy / "r.csv").write_text("nothing")
    before = sorted(path.name for path in demo_copy.iterdir())
    assert run_demo(cli, demo_copy / "r.csv", demo_copy).code == 1
    assert sorted(path.name for path in demo_copy.iterdir()) == before


def test_a_directory_of_somebody_else_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "us.jpg").write_bytes(b"1")
    ran = run_demo(cli, KONSTANZ, foreign)
    assert (ran.code, ran.document["error"]["code"]) == (1, "community_exists")
    assert [path.name for path in foreign.iterdir()] == ["us.jpg"]


def test_a_second_demo_keeps_files_that_it_did_not_make(demo_copy: Path, cli: Cli) -> None:
    (demo_copy / "my notes.txt").write_text("the third home is odd")
    ran = run_demo(cli, KONSTANZ, demo_copy, days=1)
    kept = demo_copy / "my notes.txt"
    assert kept.read_text() == "the third home is odd", ran.err


def test_a_community_that_only_looks_like_a_demo_is_not_removed(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        'name = "Demo"\nchain = {clock = "data"}\n'
        "market = {first_period_start = 2016-06-01T00:00:00Z}\n"
    )
    data = tmp_path / "data"
    assert cli("init", "--config", config, "--data-dir", data).code == 0
    keys = (data / "keys.json").read_bytes()
    ran = run_demo(cli, KONSTANZ, data)
    assert (ran.code, ran.document["error"]["code"]) == (1, "community_exists")
    assert (data / "keys.json").read_bytes() == keys


def test_a_second_demo_works_where_its_directory_cannot_be_removed(
    demo_copy: Path, cli: Cli, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(demo_copy)
    ran = run_demo(cli, KONSTANZ, link, days=1)
    assert ran.code == 0, ran.err
    assert link.is_symlink()


def test_times_with_an_offset_are_the_same_instants(cli: Cli, tmp_path: Path) -> None:
    lines = []
    for text in pair(3_600, 25):
        label, at, imported, exported = text.split(",")
        lines.append(f"{label},{at.replace('Z', '+00:00')},{imported},{exported}")
    assert instant(START_S).endswith("Z")
    check(cli, tmp_path, write(tmp_path / "r.csv", lines), window_s=3_600)
