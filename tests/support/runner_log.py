"""An emulated runner's reading of a log: commands, masks, annotations, by the runner's rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

COMMANDS = frozenset({
    "set-env", "set-output", "save-state", "add-path", "add-mask", "add-matcher", "remove-matcher",
    "debug", "warning", "error", "notice", "group", "endgroup", "echo", "stop-commands",
    "internal-set-repo-path",
})  # fmt: skip
UNSAFE = frozenset({"set-env", "add-path"})  # refused: the step fails
ANNOTATION_TYPES = ("error", "warning", "notice")
ANNOTATIONS_PER_TYPE = 10
ANNOTATION_LENGTH = 4096

# In this order, the percent sign last.
DATA_ESCAPES = {"%0D": "\r", "%0A": "\n", "%25": "%"}
PROPERTY_ESCAPES = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}
LEGACY_ESCAPES = {"%3B": ";", "%0D": "\r", "%0A": "\n", "%5D": "]", "%25": "%"}


@dataclass(frozen=True)
class LogCommand:
    """A command the runner recognised in the log."""

    name: str
    properties: dict[str, str]
    data: str


@dataclass(frozen=True)
class Annotation:
    """A finding shown on the run's page."""

    type: str
    message: str
    properties: dict[str, str]


@dataclass
class LogReader:
    """Reads a step's log line by line, as the runner does."""

    secrets: Sequence[str] = ()
    """What must not be seen; the runner does not know these unless they are masked."""
    commands: list[LogCommand] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    """Annotations beyond the cap, by type."""
    log: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    """Lines in which a secret was still readable when they were written."""
    problems: list[str] = field(default_factory=list)
    """Why the step fails although its exit code may be 0."""
    masks: set[str] = field(default_factory=set)
    _stop_token: str | None = None

    def read(self, line: str) -> None:
        """Take one line of stdout or stderr."""
        registered = COMMANDS | ({self._stop_token} if self._stop_token else set())
        command = parse_command(line, registered) or parse_legacy(line, registered)
        if command is None:
            self._show(line)
        elif self._stop_token is not None:
            self._resume_or_show(command, line)
        elif command.name == "stop-commands":
            self._stop(command, line)
        else:
            self.commands.append(command)
            self._process(command)

    def mask(self, value: str) -> None:
        """Redact a value and each of its lines from now on."""
        self.masks.add(value)
        self.masks.update(part.strip() for part in value.splitlines() if part.strip())

    @property
    def stopped(self) -> bool:
        """Whether commands are still ignored when the step has ended."""
        return self._stop_token is not None

    def _resume_or_show(self, command: LogCommand, line: str) -> None:
        if command.name == self._stop_token:
            self._stop_token = None
        self._show(line)

    def _stop(self, command: LogCommand, line: str) -> None:
        token = command.data
        if not token or token.lower() in COMMANDS or token == "pause-logging":
            self.problems.append(f"invalid stop-commands token {token!r}")
            return
        self.commands.append(command)
        self._stop_token = token.lower()
        self._show(line)

    def _process(self, command: LogCommand) -> None:
        if command.name == "add-mask":
            if not command.data.strip():
                self.problems.append("add-mask with an empty value")
            else:
                self.mask(command.data)
        elif command.name in ANNOTATION_TYPES:
            self._annotate(command)
        elif command.name in UNSAFE:
            self.problems.append(f"{command.name} is disabled")
        elif command.name in {"group", "endgroup", "debug"}:
            self._show(f"##[{command.name}]{command.data}")

    def _annotate(self, command: LogCommand) -> None:
        shown = [item for item in self.annotations if item.type == command.name]
        message = self._masked(command.data)
        self._show(f"##[{command.name}]{command.data}")
        if len(shown) >= ANNOTATIONS_PER_TYPE:
            self.dropped[command.name] += 1
            return
        self.annotations.append(
            Annotation(command.name, message[:ANNOTATION_LENGTH], command.properties)
        )

    def _show(self, line: str) -> None:
        masked = self._masked(line)
        self.log.append(masked)
        if any(secret in masked for secret in self.secrets):
            self.leaked.append(masked)

    def _masked(self, text: str) -> str:
        for value in sorted(self.masks, key=len, reverse=True):
            text = text.replace(value, "***")
        return text


def parse_command(line: str, registered: frozenset[str]) -> LogCommand | None:
    """Read ``::name key=value,…::data`` at the start of a trimmed line."""
    text = line.lstrip()
    end = text.find("::", 2)
    if not text.startswith("::") or end < 0:
        return None
    name, _, rest = text[2:end].partition(" ")
    if name.lower() not in registered:
        return None
    properties = dict(_properties(rest.strip(), separator=",", escapes=PROPERTY_ESCAPES))
    return LogCommand(name.lower(), properties, _unescape(text[end + 2 :], DATA_ESCAPES))


def parse_legacy(line: str, registered: frozenset[str]) -> LogCommand | None:
    """Read ``##[name key=value;…]data``, the first ``##[`` anywhere in the line."""
    start = line.find("##[")
    end = line.find("]", start)
    if start < 0 or end < 0:
        return None
    name, _, rest = line[start + 3 : end].partition(" ")
    if name.lower() not in registered:
        return None
    properties = dict(_properties(rest, separator=";", escapes=LEGACY_ESCAPES))
    return LogCommand(name.lower(), properties, _unescape(line[end + 1 :], LEGACY_ESCAPES))


def _properties(
    text: str, *, separator: str, escapes: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for part in text.split(separator):
        key, _, value = part.partition("=")
        if key and value:
            yield key, _unescape(value, escapes)


def _unescape(text: str, escapes: Mapping[str, str]) -> str:
    for escape, character in escapes.items():
        text = text.replace(escape, character)
    return text
