"""Messages in the words of who can change something: options, an action's inputs, or variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, get_args, get_origin

from ign_deploy.ci.summary import FindingRow, Summary
from ign_deploy.errors import IgnDeployError, PackagingError, VerificationError, reworded
from ign_deploy.settings import Settings, default_variable

# Commands that are to be typed somewhere keep their options.
_QUOTED = re.compile(r"(`[^`]*`)")
_OPTION = re.compile(
    r"(?<![\w-])--(?P<name>[a-z][a-z0-9-]*[a-z0-9])"
    r"(?: (?P<value>[A-Z][A-Z_:|…]+(?![\w-])|[a-z-]+\b))?"
)


@dataclass(frozen=True, slots=True)
class Wording:
    """How settings are called: by their options, if neither an action nor a CI job runs us."""

    is_action: bool = False
    is_job: bool = False

    def text(self, text: str) -> str:
        """Return a text of ours, hints above all, with the names that its reader knows."""
        if not (self.is_action or self.is_job) or "--" not in text:
            return text
        replaced = self._input if self.is_action else self._variable
        parts = _QUOTED.split(text)
        return "".join(
            part if part.startswith("`") else _OPTION.sub(replaced, part) for part in parts
        )

    def problem(self, problem: IgnDeployError) -> IgnDeployError:
        """Return the error, and all that it sums up, in those words."""
        said = reworded(problem, message=self.text(problem.message), hint=self.text(problem.hint))
        said.causes = tuple(map(self.problem, problem.causes))
        if isinstance(said, VerificationError):
            said.findings = tuple(each.worded(self.text) for each in said.findings)
        if isinstance(said, PackagingError):
            said.mistakes = tuple((each.worded(self.text), file) for each, file in said.mistakes)
        return said

    def summary(self, summary: Summary) -> Summary:
        """Return the summary in those words."""
        return replace(
            summary,
            error=self.text(summary.error),
            hint=self.text(summary.hint),
            findings=[
                FindingRow(each.finding.worded(self.text), each.file) for each in summary.findings
            ],
            next_steps=[self.text(step) for step in summary.next_steps],
        )

    def _input(self, match: re.Match[str]) -> str:
        kind = _kinds().get(match["name"])
        value = match["value"] or ""
        if kind is None:
            return match[0]
        if kind.is_flag:
            return f"`{match['name']}: true`" + (f" {value}" if value else "")
        if value in kind.choices:
            return f"`{match['name']}: {value}`"
        rest = f" {value}" if value and not value.isupper() else ""
        return f"the input `{match['name']}`{rest}"

    def _variable(self, match: re.Match[str]) -> str:
        kind, value = _kinds().get(match["name"]), match["value"] or ""
        if kind is None:
            return match[0]
        given, rest = f"--{match['name']}", f" {value}" if value else ""
        if value.isupper() or value in kind.choices:
            given, rest = match[0], ""
        return f"{given} (or {kind.variable}){rest}"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the option of a setting is: a flag, or one of some values; and its variable."""

    variable: str
    is_flag: bool
    choices: tuple[str, ...]


@cache
def _kinds() -> Mapping[str, _Kind]:
    return {
        name.replace("_", "-"): _Kind(
            source.env or default_variable(name),
            field.annotation is bool,
            get_args(field.annotation) if get_origin(field.annotation) is Literal else (),
        )
        for name, field, source in Settings.names()
    }
