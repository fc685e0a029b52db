"""An emulated GitHub runner for container actions, written from the runner's rules, not our code.

It prepares the environment and the file-command files, runs the action as a child process, and
reads log, outputs and summary as the real one does. A violation of a rule fails the step.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.runner_log import Annotation, LogCommand, LogReader

ROOT = Path(__file__).resolve().parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
SUMMARY_LIMIT = 1024 * 1024


class FileCommandError(Exception):
    """The content of a file-command file breaks the runner's rules."""


@dataclass(frozen=True)
class StepResult:
    """What a workflow sees of a step, and what a test needs to know."""

    exit_code: int
    outputs: dict[str, str]
    environment: dict[str, str]
    summary: str
    """Empty when the runner refused it."""
    commands: tuple[LogCommand, ...]
    annotations: tuple[Annotation, ...]
    dropped_annotations: dict[str, int]
    log: tuple[str, ...]
    """The log's lines as people see them, masked."""
    leaked: tuple[str, ...]
    """Lines, outputs and summaries in which a secret can be read."""
    problems: tuple[str, ...]
    """Broken rules; each fails the step."""

    @property
    def succeeded(self) -> bool:
        """Whether the step is green."""
        return self.exit_code == 0 and not self.problems

    @property
    def groups(self) -> tuple[str, ...]:
        """The titles of the log groups, in order."""
        return tuple(command.data for command in self.commands if command.name == "group")


@dataclass
class Runner:
    """A runner with one workspace; ``folder`` is private to it."""

    folder: Path
    secrets: Sequence[str] = ()
    """Values that must never be seen, whoever knows them."""
    masked_by_runner: Sequence[str] = ()
    """Values of the workflow's ``secrets`` context: the runner masks them from the start."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The step's ``env:`` and what earlier steps left in GITHUB_ENV; wins over all others."""
    action: Path = ROOT / "action.yml"
    command: Sequence[str] = (sys.executable, "-I", str(ROOT / "entrypoint.py"))
    timeout: float = 300.0
    """Seconds."""
    started_in: Path | None = None
    """The container's working folder, the workspace by default."""

    @property
    def workspace(self) -> Path:
        """The checked-out repository."""
        return self.folder / "workspace"

    def run(self, inputs: Mapping[str, str] | None = None) -> StepResult:
        """Run one step with the ``with:`` values ``inputs``; undeclared names are passed too."""
        environment = self._environment(with_defaults(self.action, inputs or {}))
        child = subprocess.run(
            list(self.command),
            env=environment,
            cwd=self.started_in or self.workspace,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=self.timeout,
            check=False,
        )
        reader = LogReader(secrets=self.secrets)
        for value in self.masked_by_runner:
            reader.mask(value)
        for line in log_lines(child.stdout):
            reader.read(line)
        return self._result(child.returncode, reader, environment)

    def _environment(self, inputs: Mapping[str, str]) -> dict[str, str]:
        """Return what the container gets: nothing of the machine, as in an image."""
        paths = {
            name: self.folder / name
            for name in ("workspace", "home", "workflow", "file_commands", "runner_temp")
        }
        for path in paths.values():
            path.mkdir(parents=True, exist_ok=True)
        commands = {
            variable: paths["file_commands"] / variable.lower()
            for variable in (
                "GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE", "GITHUB_PATH", "GITHUB_STEP_SUMMARY",
            )
        }  # fmt: skip
        for path in commands.values():
            path.write_bytes(b"")
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(paths["home"]),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION": "__self",
            "GITHUB_WORKSPACE": str(paths["workspace"]),
            "GITHUB_REPOSITORY": "org/modules",
            "GITHUB_REPOSITORY_OWNER": "org",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": "https://api.github.com",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REF_NAME": "main",
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_SHA": "0" * 40,
            "GITHUB_RUN_ID": "1",
            "GITHUB_ACTOR": "someone",
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_TEMP": str(paths["runner_temp"]),
            **{variable: str(path) for variable, path in commands.items()},
            **{input_variable(name): value for name, value in inputs.items()},
            **self.variables,
        }

    def _result(
        self, exit_code: int, reader: LogReader, environment: Mapping[str, str]
    ) -> StepResult:
        problems = list(reader.problems)
        outputs = self._file_command(environment["GITHUB_OUTPUT"], problems)
        exported = self._file_command(environment["GITHUB_ENV"], problems)
        summary = Path(environment["GITHUB_STEP_SUMMARY"]).read_bytes()
        if len(summary) > SUMMARY_LIMIT:
            problems.append(f"summary of {len(summary)} bytes refused")
            summary = b""
        page = summary.decode("utf-8")
        readable = [*outputs.values(), *exported.values(), page]
        leaks = [text for text in readable if any(secret in text for secret in self.secrets)]
        return StepResult(
            exit_code=exit_code,
            outputs=outputs,
            environment=exported,
            summary=page,
            commands=tuple(reader.commands),
            annotations=tuple(reader.annotations),
            dropped_annotations=dict(reader.dropped),
            log=tuple(reader.log),
            leaked=(*reader.leaked, *leaks),
            problems=tuple(problems),
        )

    def _file_command(self, path: str, problems: list[str]) -> dict[str, str]:
        try:
            return dict(file_command_values(Path(path).read_bytes().decode("utf-8-sig")))
        except (FileCommandError, UnicodeDecodeError) as error:
            problems.append(f"{Path(path).name}: {error}")
            return {}


def input_variable(name: str) -> str:
    """Return the variable of an input: spaces become ``_``, hyphens stay, all in capitals."""
    return f"INPUT_{name.replace(' ', '_').upper()}"


def with_defaults(action: Path, inputs: Mapping[str, str]) -> dict[str, str]:
    """Return the inputs that arrive: declared ones without a value hold their default or ``""``."""
    declared = yaml.safe_load(action.read_text("utf-8")).get("inputs") or {}
    values = {name: str((about or {}).get("default", "")) for name, about in declared.items()}
    return {**values, **inputs}


def log_lines(output: bytes) -> Iterator[str]:
    """Split a log as the runner does: at line feeds and carriage returns; bad UTF-8 is replaced."""
    text = output.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    yield from text.removesuffix("\n").split("\n") if text else ()


def file_command_values(text: str) -> Iterator[tuple[str, str]]:
    """Read ``name=value`` lines and ``name<<delimiter`` blocks of a file-command file."""
    lines = iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if heredoc >= 0 and (equals < 0 or heredoc < equals):
            name, delimiter = line.split("<<", 1)
            if not name or not delimiter:
                raise FileCommandError(f"invalid format {line!r}: empty name or delimiter")
            yield name, "\n".join(_until(delimiter, lines))
        elif equals > 0:
            yield line[:equals], line[equals + 1 :]
        else:
            raise FileCommandError(f"invalid format {line!r}")


def _until(delimiter: str, lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line == delimiter:
            return
        yield line
    raise FileCommandError(f"matching delimiter not found {delimiter!r}")
