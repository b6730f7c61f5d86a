"""`python -m tests.bench [--full] [NAME …]`: what it costs, and what the plain way costs beside it.

Names: clearing, readings, ingest, settlement, statements, gas, ocpp; all of them without any. Rates
depend on the machine: compare the ratios. Nothing is judged here.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

from tests.bench import (
    bench_clearing,
    bench_gas,
    bench_ingest,
    bench_ocpp,
    bench_readings,
    bench_settlement,
    bench_statements,
)

FULL_READINGS = 1_000_000  # The size that the target is stated for: some three minutes.


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; all by default")
    parser.add_argument(
        "--full", action="store_true", help="a million readings, 2,000 chargers for 5 minutes"
    )
    options = parser.parse_args()
    readings = FULL_READINGS if options.full else bench_readings.READINGS
    ingested = bench_ingest.FULL if options.full else bench_ingest.READINGS
    chargers = bench_ocpp.FULL if options.full else bench_ocpp.USUAL
    benches: dict[str, Callable[[], None]] = {
        "clearing": bench_clearing.main,
        "readings": partial(bench_readings.main, readings),
        "ingest": partial(bench_ingest.main, ingested),
        "settlement": bench_settlement.main,
        "statements": bench_statements.main,
        "gas": bench_gas.main,
        "ocpp": partial(bench_ocpp.main, *chargers),
    }
    if unknown := set(options.names) - set(benches):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(benches)}")
    for name in options.names or benches:
        print(f"── {name} " + "─" * (72 - len(name)), flush=True)
        begun_s = time.perf_counter()
        benches[name]()
        print(f"({time.perf_counter() - begun_s:,.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
