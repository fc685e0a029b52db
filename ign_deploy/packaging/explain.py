"""Why a build failed, in one sentence, and what to do: Gradle and Maven always exit with 1.

The report at the end of a build counts, and in it the first task that failed. What other tasks
wrote, such as tests that try what an unknown host does, explains nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ign_deploy.errors import PackagingError
from ign_deploy.module.findings import Finding, Severity
from ign_deploy.packaging.causes import (
    CAUSES,
    Explanation,
    Shows,
    explain_all,
    explain_line,
    last_host,
)
from ign_deploy.packaging.mistakes import Mistake, ScriptWatch, compiler_mistake, shown_text

# Characters that are searched at each end of a line: a build can write lines on which patterns are
# slow.
_LONGEST_END = 1000
_MOST_TASKS = 1000
_MOST_REASONS = 100
_MOST_MISTAKES = 10
# "> Task :a:b" from Gradle 4.7 on; before, ":a:b", often with a compiler's error in the same line.
_GRADLE_TASK = re.compile(r"(?:> Task )?(:[\w.:-]{1,200})(?: [A-Z-]{1,20}$|$|(?=/))")
_MAVEN_GOAL = re.compile(r"\[INFO\] --- (\S{1,200})")
_MAVEN_ERROR = "[ERROR]"
_REPORT = re.compile(r"FAILURE: Build |\[INFO\] BUILD FAILURE")
_MAVEN_REASON = re.compile(r" on project \S{1,200}: (.{1,1000}?)(?: -> \[Help \d+\])?$")
_FAILED_TASK = re.compile(r"Execution failed for task '([^']+)'")
_COMPILER = re.compile(r"(?:^|:)(?:compile|kapt|ksp|maven-compiler-plugin:|compiler:)", re.I)
_TEST = re.compile(r"(?:^|:)\w*test\w*$|(?:surefire|failsafe)", re.I)


@dataclass(slots=True)
class _Output:
    """What is known of a task's output: its most telling line, and a compiler's first errors."""

    best: Explanation | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    host: str = ""

    def see(self, text: str, *, is_compiler: bool) -> None:
        """Look at one more line."""
        below = len(CAUSES) if self.best is None else self.best.rank
        shows = Shows.COMPILER if is_compiler else Shows.OUTPUT
        self.best = explain_line(text, shows=shows, below=below, host=self.host) or self.best
        self.host = last_host(text) or self.host
        if is_compiler and len(self.mistakes) < _MOST_MISTAKES:
            mistake = compiler_mistake(text)
            # Maven repeats them all in its report.
            if mistake is not None and mistake not in self.mistakes:
                self.mistakes.append(mistake)


@dataclass(slots=True)
class FailureWatch:
    """Watches a build's output, and explains its failure."""

    _task: str = ""
    _outputs: dict[str, _Output] = field(default_factory=dict)
    _reasons: list[str] = field(default_factory=list)
    _script: ScriptWatch = field(default_factory=ScriptWatch)
    _report: str = ""
    """Where we are in the report: in "no" reasons yet, "in" them, or "after" the first ones."""

    def see(self, line: str) -> None:
        """Look at one more line."""
        text = line if len(line) <= 2 * _LONGEST_END else _ends(line)
        if _REPORT.match(text):
            # The last report is the build's own: its tests may run builds, too.
            self._report, self._reasons, self._script = "no", [], ScriptWatch()
        elif self._report:
            self._see_report(text)
        elif task := _GRADLE_TASK.match(text) or _MAVEN_GOAL.match(text):
            self._task = task[1]
            self._see_output(text[task.end() :])
        else:
            self._see_output(text)

    @property
    def meaning(self) -> str:
        """What went wrong, as a clause; empty when no line was understood."""
        found = self._explain()
        if found is None:
            return shown_text(self._reasons[0]).rstrip(" .:") if self._reasons else ""
        if mistakes := self.mistakes:
            of_script = "a build script has an error" if not found.is_general else found.meaning
            meaning = of_script if found.is_of_script else found.meaning
            return f"{meaning}: {mistakes[0].quoted}"
        detail = self._detail() if found.is_general and not found.is_of_compiler else ""
        return f"{found.meaning}: {detail}" if detail else found.meaning

    @property
    def mistakes(self) -> Sequence[Mistake]:
        """The errors in sources or in a build script that failed the build, in their order."""
        found = self._explain()
        if found is not None and found.is_of_compiler:
            return tuple(self._outputs.get(self._failed_task(), _Output()).mistakes)
        if found is not None and found.is_of_script:
            mistake = self._script.mistake(self._detail())
            return (mistake,) if mistake is not None else ()
        return ()

    @property
    def hint(self) -> str:
        """What to do about it."""
        found = self._explain()
        return found.hint if found else "read the build's log."

    def _explain(self) -> Explanation | None:
        """Return the cause that the report names, else one in the output of the failed task."""
        reported = explain_all(self._reasons, shows=Shows.REASON)
        found = self._outputs.get(self._failed_task(), _Output()).best
        if reported is None or (reported.is_general and found and not found.is_general):
            return found
        return reported

    def _detail(self) -> str:
        """Return the innermost reason in the report."""
        if of_maven := _MAVEN_REASON.search(self._reasons[0] if self._reasons else ""):
            return shown_text(of_maven[1]).rstrip(" .:")
        inner = [each for each in self._reasons[1:] if each.startswith(">")]
        return shown_text(inner[-1]).strip(" >.:") if inner else ""

    def _failed_task(self) -> str:
        """Return the first task that failed; with Maven, or without a report, the last one begun.

        A report without any task is of the configuration, which has no output of its own.
        """
        named = (_FAILED_TASK.search(reason) for reason in self._reasons)
        first = next((match[1] for match in named if match), "")
        is_of_gradle = bool(self._reasons) and not self._reasons[0].startswith(_MAVEN_ERROR)
        return first or ("configuration" if is_of_gradle else self._task)

    def _see_report(self, text: str) -> None:
        """Keep the reasons of the first failure in a report, and nothing of the others."""
        text = text.strip()
        if self._report != "after":
            self._script.see(text)
        if self._report == "no":
            if text.startswith(_MAVEN_ERROR):
                self._report, self._reasons = "in", [text]
            elif text == "* What went wrong:":
                self._report = "in"
        elif self._report == "in":
            is_end = text.startswith(("* ", f"{_MAVEN_ERROR} ->"))
            # What a compiler said isn't a reason; it may contain anything.
            is_end |= any("Compilation failure" in reason for reason in self._reasons)
            if is_end or len(self._reasons) >= _MOST_REASONS:
                self._report = "after"
            elif not self._reasons or text.startswith((">", _MAVEN_ERROR)):
                self._reasons.append(text)

    def _see_output(self, text: str) -> None:
        is_compiler = bool(_COMPILER.search(self._task))
        if (is_compiler or not _TEST.search(self._task)) and (
            self._task in self._outputs or len(self._outputs) < _MOST_TASKS
        ):
            output = self._outputs.setdefault(self._task, _Output())
            output.see(text, is_compiler=is_compiler)


def build_error(message: str, watch: FailureWatch, *, root: Path) -> PackagingError:
    """Return the error of a build of the project at ``root``, with the mistakes in its files."""
    mistakes: list[tuple[Finding, str]] = []
    for number, each in enumerate(watch.mistakes):
        path = each.path_in(root)
        text, hint = (each.quoted, "") if number else (message, watch.hint)
        line, column = (0, 0) if path is None else (each.line, each.column)
        finding = Finding(
            PackagingError.code, Severity.ERROR, text, hint=hint, line=line, column=column
        )
        mistakes.append((finding, "" if path is None else str(path)))
    return PackagingError(message, hint=watch.hint, mistakes=mistakes)


def _ends(line: str) -> str:
    return f"{line[:_LONGEST_END]} {line[-_LONGEST_END:]}"
