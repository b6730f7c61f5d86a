"""Prints the coverage of contracts/ from an lcov report; exit 1 if lines or branches fall short.

python coverage.py LCOV ROOT PERCENT

What is inside `assembly { … }` is left out: forge has to compile through the IR here (the legacy
compiler runs out of stack), and the IR keeps no source positions for assembly. Those two blocks are
straight loops without a branch; fuzzing compares them with plain arithmetic, halmos proves them.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

SOURCES = "contracts/"


def main(report: str, root: str, percent: str) -> int:
    """Sums up per file and in all."""
    lines: dict[str, dict[int, bool]] = defaultdict(dict)
    branches: dict[str, dict[str, bool]] = defaultdict(dict)
    name = ""
    for record in Path(report).read_text(encoding="utf-8").splitlines():
        kind, _, rest = record.partition(":")
        if kind == "SF":
            name = rest
        elif kind == "DA" and name.startswith(SOURCES):
            line, hits = rest.split(",")[:2]
            lines[name][int(line)] = int(hits) > 0
        elif kind == "BRDA" and name.startswith(SOURCES):
            branch, _, taken = rest.rpartition(",")
            branches[name][branch] = taken not in {"-", "0"}
    if not lines:
        print("the report says nothing of the contracts", file=sys.stderr)
        return 1

    print(f"{'':44}{'lines':>16}{'branches':>16}  assembly lines left out")
    total = [0, 0, 0, 0]
    for name in sorted(lines):
        assembly = _assembly_lines((Path(root) / name).read_text(encoding="utf-8"))
        seen = {line: hit for line, hit in lines[name].items() if line not in assembly}
        counts = [sum(seen.values()), len(seen)]
        counts += [sum(branches[name].values()), len(branches[name])]
        total = [a + b for a, b in zip(total, counts, strict=True)]
        left_out = len(lines[name]) - len(seen)
        print(f"{name:44}{_share(*counts[:2]):>16}{_share(*counts[2:]):>16}  {left_out or ''}")
        missed = [str(line) for line, hit in sorted(seen.items()) if not hit]
        missed += [
            branch.partition(",")[0] + " (branch)"
            for branch, hit in branches[name].items()
            if not hit
        ]
        if missed:
            print(f"    not reached: {', '.join(missed)}")
    print(f"{'in all':44}{_share(*total[:2]):>16}{_share(*total[2:]):>16}")
    enough = all(100 * hit > int(percent) * count for hit, count in (total[:2], total[2:]))
    if not enough:
        print(f"less than {percent} % is reached", file=sys.stderr)
    return 0 if enough else 1


def _assembly_lines(source: str) -> set[int]:
    """Numbers of the lines inside assembly blocks."""
    inside: set[int] = set()
    for block in re.finditer(r"assembly\s*(\([^)]*\)\s*)?\{", source):
        depth, at = 1, block.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(source[at], 0)
            at += 1
        first = source.count("\n", 0, block.start()) + 1
        inside.update(range(first, first + source.count("\n", block.start(), at) + 1))
    return inside


def _share(hit: int, count: int) -> str:
    return f"{100 * hit / count:.1f} % ({hit}/{count})" if count else "none"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
