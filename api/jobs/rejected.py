"""Rows of a file that were refused, counted by the rule that they broke."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from metering.errors import Problem

_FOUND: Final = ", not "  # What a rule asks for comes before it, what a row says instead after it.


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRows:
    """The rows of one file that broke one rule."""

    code: str
    rule: str
    rows: int
    first_line: int

    def to_json(self) -> dict[str, object]:
        """As the command line prints it."""
        return {"code": self.code, "rule": self.rule, "rows": self.rows, "line": self.first_line}


def by_rule(problems: Iterable[Problem]) -> list[RejectedRows]:
    """Counts, the most frequent first."""
    lines: dict[tuple[str, str], list[int]] = {}
    for problem in problems:
        rule = str(problem.error.facts().get("rule", problem.detail)).partition(_FOUND)[0]
        lines.setdefault((problem.code, rule), []).append(problem.position)
    found = [
        RejectedRows(code=code, rule=rule, rows=len(own), first_line=min(own))
        for (code, rule), own in lines.items()
    ]
    return sorted(found, key=lambda each: (-each.rows, each.first_line))
