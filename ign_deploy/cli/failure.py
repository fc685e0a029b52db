"""How a failed run ends: what happened, what to do, and the exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import click

from ign_deploy.ci.host import Host
from ign_deploy.cli.action import is_action
from ign_deploy.cli.session import Session, open_bare_session
from ign_deploy.errors import ConfigurationError, IgnDeployError, only_cause
from ign_deploy.files import os_error_reason
from ign_deploy.module.findings import Finding, Severity
from ign_deploy.pipeline.run_report import problem_findings


def failure_document(problem: IgnDeployError) -> dict[str, Any]:
    """Return the error as JSON values; a single cause speaks for itself."""
    cause = only_cause(problem)
    findings = [{**finding.as_dict(), "file": file} for finding, file in problem_findings(problem)]
    return {
        "result": "failed",
        "error": {
            "code": problem.code,
            "message": cause.message,
            "hint": cause.hint,
            "steps": [step for step in cause.hint.splitlines() if step],
            "exit_code": problem.exit_code,
            "findings": findings,
        },
    }


def report_failure(session: Session, problem: IgnDeployError) -> int:
    """Report why the run failed; return the exit code."""
    for finding, file in dict.fromkeys(problem_findings(problem)):
        if finding not in session.reported:
            session.reporter.finding(finding, file=file)
    if problem.causes:
        session.reporter.info(f"{problem.message}; {problem.hint}")
    if not session.answers:
        answer_failure(session, problem)
    return problem.exit_code


def answer_failure(session: Session, problem: IgnDeployError) -> None:
    """Answer with the failure; what else goes wrong then must not hide it."""
    problem = session.wording.problem(problem)
    attempts: list[Callable[[], None]] = [
        partial(session.answer, failure_document(problem), ""),
    ]
    if not session.pages:
        attempts.insert(0, partial(write_failure, session, problem))
    for attempt in attempts:
        try:
            attempt()
        except IgnDeployError as second:
            session.reporter.warning(second.message)


def report_early_failure(problem: IgnDeployError, *, env: Mapping[str, str], as_json: bool) -> int:
    """Report an error in the settings themselves, before there is a session."""
    return report_failure(open_bare_session(env, as_json=as_json), problem)


def report_usage(
    problem: click.ClickException, *, arguments: Sequence[str], env: Mapping[str, str]
) -> int:
    """Report a wrong command line; it may come from an action's inputs, so it is untrusted."""
    context = problem.ctx if isinstance(problem, click.UsageError) else None
    command = context.command_path if context else "ign-deploy"
    hint = f"see `{command} --help`."
    if is_action(env) and "unexpected extra argument" in problem.format_message():
        name = command.rpartition(" ")[2]
        hint = f"{name} takes one path: give one line in the input `path`."
    if is_action(env) or "--json" in arguments:
        error = ConfigurationError(problem.format_message(), hint=hint)
        return report_early_failure(error, env=env, as_json="--json" in arguments)
    if context is not None:
        say(context.get_usage())
    say(f"error: {problem.format_message()}\n  hint: {hint}")
    return problem.exit_code


def say(text: str) -> None:
    """Write to stderr, so that neither a terminal nor a CI host takes it for a command."""
    from ign_deploy.ci.text import neutral_lines

    sys.stderr.write("".join(f"{line}\n" for line in neutral_lines(text)))
    sys.stderr.flush()


def system_error(cause: OSError) -> ConfigurationError:
    """Return an error of the operating system as ours: the environment is at fault."""
    what = f": {cause.filename}" if isinstance(cause.filename, str) else ""
    return ConfigurationError(
        f"the operating system reported an error: {os_error_reason(cause)}{what}",
        hint="check permissions, free space and limits; --verbose shows where it happened.",
    )


def report_bug(session: Session, problem: Exception) -> int:
    """End a run that hit a bug of ours, without showing values that may be secret."""
    frame = traceback.extract_tb(problem.__traceback__)[-1]
    location = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    session.reporter.finding(
        Finding(
            "internal",
            Severity.ERROR,
            f"internal error in ign-deploy ({type(problem).__name__} at {location})",
            "",
            "run again with --verbose, and report the bug with what it prints.",
        )
    )
    if session.verbose:
        session.reporter.untrusted("".join(traceback.format_exception(problem)).splitlines())
    answer_failure(session, IgnDeployError("internal error in ign-deploy"))
    return IgnDeployError.exit_code


def write_failure(session: Session, problem: IgnDeployError) -> None:
    """Write the failure to the run's summary page, if no stage has done so."""
    if session.host is not Host.GITHUB:
        return
    from ign_deploy.ci.summary import FindingRow, Summary
    from ign_deploy.cli.page import write_page

    summary = Summary(
        headline="The run failed",
        succeeded=False,
        error=only_cause(problem).message,
        hint=only_cause(problem).hint,
        findings=[FindingRow(*item) for item in problem_findings(problem)],
    )
    write_page(session, summary)
