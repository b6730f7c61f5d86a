"""Compares the proofs that halmos finished with those that the sources name: none may be left out.

python halmos.py RESULTS.json FOLDER
"""

import json
import re
import sys
from pathlib import Path

CHECK = re.compile(r"^ *function (check_\w+)\(", re.MULTILINE)
PASSED = 0


def main(results_path: str, folder: str) -> int:
    """Prints what was not proved; 0 if there are proofs and all hold."""
    named = {
        (path.name, check)
        for path in Path(folder).rglob("*.sol")
        for check in CHECK.findall(path.read_text(encoding="utf-8"))
    }
    results = json.loads(Path(results_path).read_text(encoding="utf-8"))["test_results"]
    proved = {
        (Path(contract.partition(":")[0]).name, result["name"].partition("(")[0])
        for contract, of_contract in results.items()
        for result in of_contract
        if result["exitcode"] == PASSED
    }
    for file, check in sorted(named - proved):
        print(f"not proved: {check} in {file}")
    print(f"{len(named & proved)} of {len(named)} proofs hold")
    return 0 if named and named <= proved else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
