"""A session: what a command needs to run (settings, reporter, time), and how it answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from ign_deploy.ci.host import Host, detect_host
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.outputs import write_outputs
from ign_deploy.ci.reporters import reporter_for
from ign_deploy.cli.door import is_action
from ign_deploy.report import Reporter
from ign_deploy.settings import Inputs, Resolved, Settings


@dataclass(frozen=True)
class Session:
    """One run of one command. Results go to ``out``, everything else to the reporter."""

    env: Mapping[str, str]
    resolved: Resolved
    host: Host
    masker: Masker
    reporter: Reporter
    now: datetime
    out: TextIO
    as_json: bool
    verbose: bool

    @property
    def settings(self) -> Settings:
        """The settings of this run."""
        return self.resolved.settings

    def answer(
        self, document: Mapping[str, Any], text: str, *, outputs: Mapping[str, str] | None = None
    ) -> None:
        """Print the result: one JSON document with ``--json``, else ``text`` for people.

        On a CI host, ``outputs`` and the document's ``result`` are handed to later steps.
        """
        results = {"result": str(document["result"])} if "result" in document else {}
        write_outputs(
            {**results, **(outputs or {})}, host=self.host, env=self.env, masker=self.masker
        )
        if self.as_json:
            # A runner executes ##[…] anywhere in a line; inside JSON it can be written otherwise.
            text = self.masker.hide(json.dumps(document, indent=2)).replace("##[", "#\\u0023[")
            self.out.write(text + "\n")
        elif text:
            self.out.write(self.masker.hide(text.rstrip("\n")) + "\n")
        self.out.flush()


def open_session(
    env: Mapping[str, str],
    *,
    flags: Mapping[str, object],
    as_json: bool,
    verbose: bool,
    no_color: bool,
    config_file: Path | None,
    env_file: Path | None,
) -> Session:
    """Resolve the settings, hide every secret from all output, and choose the reporter."""
    resolved = Inputs(
        env=env,
        flags=flags,
        folder=Path(),
        use_action_inputs=is_action(env),
        config_file=config_file,
        env_file=env_file,
    ).resolve()
    # The runner reads one log: there, results and log lines must keep their order. With --json,
    # stdout holds the document and nothing else.
    stream = sys.stdout if is_action(env) and not as_json else sys.stderr
    host = detect_host(env, is_terminal=stream.isatty())
    masker = Masker()
    reporter = reporter_for(host, stream, env=env, masker=masker, color=not no_color)
    for secret in resolved.secrets():
        reporter.mask(secret)
    return Session(
        env=env,
        resolved=resolved,
        host=host,
        masker=masker,
        reporter=reporter,
        now=datetime.now(UTC),
        out=sys.stdout,
        as_json=as_json,
        verbose=verbose,
    )
