"""A session: one run of one command; its context, and how it answers."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import click

from ign_deploy.ci.host import Host, check_host_files, detect_host, reporter_for, write_outputs
from ign_deploy.ci.mask import SHORTEST_SECRET, Masker
from ign_deploy.ci.text import LineWriter
from ign_deploy.cli.action import is_action
from ign_deploy.cli.formatting import json_text, shown_time
from ign_deploy.cli.wording import Wording
from ign_deploy.errors import ConfigurationError
from ign_deploy.files import os_error_reason
from ign_deploy.module.findings import Finding
from ign_deploy.net.proxies import proxy_passwords
from ign_deploy.pipeline.context import CommandLine, RunContext, start_run
from ign_deploy.pipeline.run_report import RunReport
from ign_deploy.report import Reporter
from ign_deploy.settings import Inputs, Resolved, Settings, given_secrets


@dataclass(frozen=True)
class Session:
    """One run of one command. Results go to ``out``, everything else to the reporter."""

    context: RunContext
    resolved: Resolved
    host: Host
    masker: Masker
    out: TextIO
    as_json: bool
    verbose: bool
    wording: Wording
    reported: set[Finding] = field(default_factory=set)
    """What was reported before the run failed, so that it isn't reported twice."""
    pages: list[str] = field(default_factory=list)
    """The summaries that were written for the run's page."""
    answers: list[Mapping[str, Any]] = field(default_factory=list)
    """The result, once it was printed: a run that failed may have given it already."""

    @property
    def command(self) -> str:
        """The command's name."""
        return click.get_current_context().info_name or ""

    @property
    def settings(self) -> Settings:
        """The settings of this run."""
        return self.context.settings

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of this run."""
        return self.context.env

    @property
    def reporter(self) -> Reporter:
        """Where the run says what happens."""
        return self.context.reporter

    @property
    def now(self) -> datetime:
        """When the run began."""
        return self.context.now

    @property
    def width(self) -> int:
        """The columns of the terminal that shows the result; 0 if there is none."""
        return shutil.get_terminal_size().columns if self.out.isatty() else 0

    def shown_time(self, text: str) -> str:
        """Return a time of a record for people: their own, but UTC in the log of a CI job."""
        is_job = detect_host(self.env, is_terminal=True) is not Host.TERMINAL
        return shown_time(text, is_local=not is_job)

    def answer(
        self,
        document: Mapping[str, Any],
        text: str,
        *,
        outputs: Mapping[str, str] | None = None,
        is_clean: bool = False,
    ) -> None:
        """Print the result: one JSON document with ``--json``, else ``text`` for people.

        Text that ``is_clean`` is for programs: it is written unchanged. On a CI host, ``outputs``
        and the document's ``result`` are passed on to later steps. A reader who has gone
        (``| head``) is not an error: the work is done, and its exit code counts. Raises
        ConfigurationError when standard output is not writable.
        """
        self.answers.append(document)
        self._print(document, text, is_clean=is_clean)
        results = {"result": str(document["result"])} if "result" in document else {}
        write_outputs(
            {**results, **(outputs or {})}, host=self.host, env=self.env, masker=self.masker
        )

    def _print(self, document: Mapping[str, Any], text: str, *, is_clean: bool) -> None:
        clean = LineWriter(self.out, self.masker).clean
        lines = [text] if is_clean else clean(text.rstrip("\n")) if text else []
        if self.as_json:
            lines = [json_text(document, masker=self.masker)]
        self.write(lines)

    def write(self, lines: Sequence[str]) -> bool:
        """Write lines of the result as they are; return False if its reader has gone.

        Raises ConfigurationError when standard output is not writable.
        """
        try:
            LineWriter(self.out, self.masker).write(lines)
        except BrokenPipeError:
            discard(self.out)
            return False
        except OSError as cause:
            discard(self.out)
            raise ConfigurationError(
                f"cannot write the result to standard output: {os_error_reason(cause)}",
                hint="check where standard output goes; the command itself was done.",
            ) from cause
        return True


def discard(stream: TextIO) -> None:
    """Send what is still to be written to ``stream`` nowhere, or Python complains at exit."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def open_session(
    env: Mapping[str, str],
    *,
    flags: Mapping[str, object],
    as_json: bool,
    verbose: bool,
    no_color: bool,
    config_file: Path | None,
    env_file: Path | None,
    command_line: CommandLine,
) -> Session:
    """Resolve the settings, redact every secret in all output, and choose the reporter."""
    resolved = Inputs(
        env=env,
        flags=flags,
        folder=Path(),
        use_action_inputs=is_action(env),
        config_file=config_file,
        env_file=env_file,
    ).resolve()
    if detect_host(env, is_terminal=True) is not Host.TERMINAL:
        _refuse_short_secrets(resolved, env)
    session = _session(
        env,
        resolved,
        secrets=resolved.secrets(),
        as_json=as_json,
        verbose=verbose,
        color=not no_color,
        command_line=None if is_action(env) else command_line,
    )
    check_host_files(session.host, env=env, reporter=session.reporter)
    return session


def _refuse_short_secrets(resolved: Resolved, env: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a secret that the log can't be kept free of."""
    named = [*resolved.named_secrets()]
    named += [("the password of a proxy", password) for password in proxy_passwords(env)]
    for origin, secret in named:
        if len(secret.strip()) < SHORTEST_SECRET:
            raise ConfigurationError(
                f"{origin} is shorter than {SHORTEST_SECRET} characters: a CI job can't keep such "
                "a secret out of its log",
                hint="choose a longer secret.",
            )


def open_bare_session(env: Mapping[str, str], *, as_json: bool) -> Session:
    """Open a session without any setting, to report why the settings can't be used."""
    nothing = Resolved(Settings(), {})
    secrets = given_secrets(env)
    return _session(env, nothing, secrets=secrets, as_json=as_json, verbose=False, color=True)


def _session(
    env: Mapping[str, str],
    resolved: Resolved,
    *,
    secrets: Iterable[str],
    as_json: bool,
    verbose: bool,
    color: bool,
    command_line: CommandLine | None = None,
) -> Session:
    # The runner reads one log: there, results and log lines must stay in order. With --json,
    # stdout holds the document and nothing else.
    stream = sys.stdout if is_action(env) and not as_json else sys.stderr
    host = detect_host(env, is_terminal=stream.isatty())
    masker = Masker()
    is_job = host is not Host.TERMINAL and bool(env.get("CI") or host is not Host.PLAIN)
    wording = Wording(is_action=is_action(env), is_job=is_job)
    # "Re-run with debug logging" on GitHub.
    verbose = verbose or env.get("RUNNER_DEBUG") == "1"
    reporter = reporter_for(
        host,
        stream,
        env=env,
        masker=masker,
        color=color,
        is_live=not as_json,
        wording=wording.text,
    )
    for secret in (*secrets, *proxy_passwords(env)):
        reporter.mask(secret)
    if verbose:
        # Without values: some are key material.
        for name, origin in sorted(resolved.origins.items()):
            reporter.info(f"setting {name.replace('_', '-')}: from {origin}")
    context = start_run(
        resolved.settings,
        env=env,
        report=RunReport(reporter),
        redact=masker.redact,
        command_line=command_line,
        verbose=verbose,
    )
    return Session(
        context=context,
        resolved=resolved,
        host=host,
        masker=masker,
        out=sys.stdout,
        as_json=as_json,
        verbose=verbose,
        wording=wording,
    )
