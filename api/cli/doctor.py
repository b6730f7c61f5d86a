"""`wattledger doctor`: what was looked at, how it is, and what to do."""

from api.cli.context import Options, Outcome, data_path
from api.datadir import DataDir
from api.jobs.checkup.checks import Check, Verdict, counted
from api.jobs.checkup.doctor import examine

NAME_CHARS = 9


def run_doctor(options: Options) -> Outcome:
    """Looks at everything; not passed if there is a problem."""
    checks = examine(DataDir(data_path(options), password_file=options.password_file))
    problems = sum(check.verdict is Verdict.PROBLEM for check in checks)
    warnings = sum(check.verdict is Verdict.WARNING for check in checks)
    lines = [line for check in checks for line in _lines(check)]
    lines.append(f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}")
    return Outcome(
        document={
            "problems": problems,
            "warnings": warnings,
            "checks": [
                {
                    "name": check.name,
                    "verdict": check.verdict.value,
                    "detail": check.detail,
                    "advice": check.advice,
                }
                for check in checks
            ],
        },
        text="\n".join(lines),
        passed=not problems,
    )


def _lines(check: Check) -> list[str]:
    mark = {Verdict.OK: "ok     ", Verdict.WARNING: "WARNING", Verdict.PROBLEM: "PROBLEM"}
    lines = [f"{mark[check.verdict]}  {check.name:<{NAME_CHARS}}  {check.detail}"]
    if check.advice:
        lines.append(f"{'':<{NAME_CHARS + 11}}do: {check.advice}")
    return lines
