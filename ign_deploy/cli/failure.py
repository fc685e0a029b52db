"""How a run that failed ends: what happened, what to do, and the exit code."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import click

from ign_deploy.cli.session import Session
from ign_deploy.errors import IgnDeployError, VerificationError
from ign_deploy.module.findings import Finding, Severity


def failure_document(problem: IgnDeployError) -> dict[str, Any]:
    """Return the error as JSON values."""
    findings = problem_findings(problem)
    return {
        "result": "failed",
        "error": {
            "code": problem.code,
            "message": problem.message,
            "hint": problem.hint,
            "exit_code": problem.exit_code,
            "findings": [finding.as_dict() for finding in findings],
        },
    }


def report_failure(session: Session, problem: IgnDeployError) -> int:
    """Tell the reader why the run failed; return the exit code."""
    for finding in problem_findings(problem):
        session.reporter.finding(finding)
    session.answer(failure_document(problem), "")
    return problem.exit_code


def problem_findings(problem: IgnDeployError) -> tuple[Finding, ...]:
    """Return the error as findings: its own, or itself as one."""
    if isinstance(problem, VerificationError) and problem.findings:
        return problem.findings
    if problem.causes:
        return tuple(one for inner in problem.causes for one in problem_findings(inner))
    return (Finding(problem.code, Severity.ERROR, problem.message, "", problem.hint),)


def report_early_failure(problem: IgnDeployError) -> int:
    """Tell of an error in the settings themselves, before there is a reporter."""
    say(
        "\n".join(
            [f"error: {problem.message}", *([f"  hint: {problem.hint}"] * bool(problem.hint))]
        )
    )
    return problem.exit_code


def report_usage(problem: click.ClickException) -> int:
    """Tell of a wrong command line: it may come from an action's inputs, so it is foreign text."""
    context = problem.ctx if isinstance(problem, click.UsageError) else None
    if context is not None:
        say(context.get_usage())
        say(f"Try '{context.command_path} --help' for help.\n")
    say(f"error: {problem.format_message()}")
    return problem.exit_code


def say(text: str) -> None:
    """Write to stderr what no terminal and no CI host takes for a command."""
    from ign_deploy.ci.text import neutral_lines

    sys.stderr.write("".join(f"{line}\n" for line in neutral_lines(text)))
    sys.stderr.flush()


def report_bug(session: Session, problem: Exception) -> int:
    """End a run that met a bug of ours, without showing values that may be secret."""
    frame = traceback.extract_tb(problem.__traceback__)[-1]
    place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    session.reporter.finding(
        Finding(
            "internal",
            Severity.ERROR,
            f"internal error in ign-deploy ({type(problem).__name__} at {place})",
            "",
            "run again with --verbose, and report it with the lines it prints.",
        )
    )
    session.answer({"result": "failed"}, "")
    if session.verbose:
        session.reporter.foreign("".join(traceback.format_exception(problem)).splitlines())
    return IgnDeployError.exit_code
