"""Compares slither's findings of medium and high impact with those that are accepted, with reasons.

python slither.py FINDINGS.json ACCEPTED.toml
"""

import json
import sys
import tomllib
from pathlib import Path

IMPACTS = {"High", "Medium"}


def main(findings_path: str, accepted_path: str) -> int:
    """Prints what differs; 0 if nothing does."""
    report = json.loads(Path(findings_path).read_text(encoding="utf-8"))
    if not report["success"]:
        print(f"slither failed: {report['error']}", file=sys.stderr)
        return 1
    found = {
        (finding["check"], _where(finding)): finding["description"]
        for finding in report["results"].get("detectors", [])
        if finding["impact"] in IMPACTS
    }
    accepted = {
        (entry["check"], entry["where"])
        for entry in tomllib.loads(Path(accepted_path).read_text(encoding="utf-8"))["accepted"]
    }
    for key in sorted(found.keys() - accepted):
        print(f"new: {' in '.join(key)}\n{found[key]}")
    for key in sorted(accepted - found.keys()):
        print(f"accepted, but no longer found: {' in '.join(key)}")
    print(f"{len(found)} findings of medium or above, {len(accepted)} accepted with reasons")
    return 1 if found.keys() != accepted else 0


def _where(finding: dict) -> str:
    """`Contract.element` of the first thing that a finding names."""
    return finding["description"].split(" (")[0].strip()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
