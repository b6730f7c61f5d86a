"""A picture of the neighbourhood's day: who gave, who took, and what the price was."""

from dataclasses import dataclass
from pathlib import Path

from api.jobs.community import Community
from api.jobs.summary import last_runs
from ledger.settlement_store import StoredRun
from ledger.units import from_unix_s, to_rfc3339

SOLD, BOUGHT = "#d97706", "#1d4ed8"  # Orange and blue: told apart by everybody.
GRID = "#9ca3af"


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One period in community sums, in Wh per window."""

    run: StoredRun
    traded_wh: int


def busiest_day(community: Community) -> Day | None:
    """The period in which most was traded; the first of several."""
    days = [
        Day(run=run, traded_wh=sum(total.traded_wh for total in run.totals))
        for run, _ in last_runs(community)
    ]
    return max(days, key=lambda day: (day.traded_wh, -day.run.period_start_s), default=None)


def draw_day(day: Day, *, window_s: int, path: Path) -> None:
    """Draws the day as SVG: what was fed in above the line, what was taken below, to one scale."""
    import matplotlib as mpl  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    totals = day.run.totals
    hours = [place * window_s / 3_600 for place in range(len(totals))]
    width = window_s / 3_600
    sold = [total.traded_wh / 1_000 for total in totals]
    to_grid = [(total.export_wh - total.traded_wh) / 1_000 for total in totals]
    bought = [-kwh for kwh in sold]
    from_grid = [-(total.import_wh - total.traded_wh) / 1_000 for total in totals]
    date = to_rfc3339(from_unix_s(day.run.period_start_s))[:10]
    with mpl.rc_context({"svg.hashsalt": "wattledger", "font.size": 10, "hatch.linewidth": 0.5}):
        figure = Figure(figsize=(9, 5), layout="constrained")
        axes = figure.subplots()
        stacks = (
            (sold, None, SOLD, None, "sold to neighbours"),
            (to_grid, sold, "#fcd9a8", "//", "fed to the grid"),
            (bought, None, BOUGHT, None, "bought from neighbours"),
            (from_grid, bought, GRID, "..", "taken from the grid"),
        )
        for heights, bottom, color, hatch, label in stacks:
            axes.bar(
                hours,
                heights,
                bottom=bottom,
                width=width,
                align="edge",
                linewidth=0,
                color=color,
                hatch=hatch,
                label=label,
            )
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xlim(0, 24)
        axes.set_xticks(range(0, 25, 3), [f"{hour:02d}:00" for hour in range(0, 25, 3)])
        axes.yaxis.set_major_formatter(lambda height, _place: f"{abs(height):g}")
        axes.set_xlabel(f"{date}, UTC")
        axes.set_ylabel(f"kWh in {window_s // 60} minutes\n← taken        fed in →")
        share = _share_pct(day)
        axes.set_title(
            f"On {date} neighbours traded {day.traded_wh / 1_000:.1f} kWh: "
            f"{share} % of what the homes took came from next door"
        )
        axes.legend(loc="upper left", ncols=2, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _share_pct(day: Day) -> int:
    imports_wh = sum(total.import_wh for total in day.run.totals)
    return day.traded_wh * 100 // imports_wh if imports_wh else 0
