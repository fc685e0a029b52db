"""The Markdown summary of a run, for the person responsible for the release: result first.

Every string may come from a build or a file, so it is neutralised and escaped for HTML and
Markdown. The page stays far below the mebibyte that GitHub accepts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar, cast

from ign_deploy.ci.mask import Masker
from ign_deploy.ci.text import finding_place, neutral_lines, shorten
from ign_deploy.module.findings import Finding, Severity, worst_first

T = TypeVar("T")

_BUDGET = 60_000
"""Characters of rows in one table: at most 240,000 bytes, and there are four tables."""
_CELL = 400
_MARKS = {"ok": "✅", "failed": "❌", "skipped": "⏭️"}
_SEVERITIES = {Severity.ERROR: "❌ error", Severity.WARNING: "⚠️ warning", Severity.INFO: "info"}
_ACTIVE = re.compile(r"""[\\`*_\[\]#|~!<>&@$"'{}()]|:(?=//)|(?<=www)\.""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """A module's row in the table; unknown values are empty strings."""

    id: str
    version: str
    name: str = ""
    ignition_version: str = ""
    file: str = ""
    size: int = 0
    """Bytes."""
    sha256: str = ""
    signer: str = ""
    certificate_sha1: str = ""
    """Fingerprint as the gateway shows it."""
    certificate_sha256: str = ""
    result: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage of the run: ``result`` is ``ok``, ``failed`` or ``skipped`` (with a reason)."""

    name: str
    seconds: float = 0.0
    result: str = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding and the workspace-relative file it belongs to."""

    finding: Finding
    file: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything the page shows; empty parts are omitted."""

    headline: str
    """One sentence: what was released where, or what went wrong."""
    succeeded: bool
    error: str = ""
    hint: str = ""
    modules: Sequence[ModuleRow] = ()
    findings: Sequence[FindingRow] = ()
    stages: Sequence[StageRow] = ()
    next_steps: Sequence[str] = ()


def render_summary(summary: Summary, *, masker: Masker) -> str:
    """Return the page as GitHub-flavoured Markdown, ending with a newline, without secrets."""
    summary = _redacted(summary, masker)
    parts = [
        f"## {_MARKS['ok' if summary.succeeded else 'failed']} {escape(summary.headline)}",
        *_error(summary),
        *_modules(summary.modules),
        *_next_steps(summary.next_steps),
        *_stages(summary.stages),
        *_findings(summary.findings),
    ]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return untrusted text that renders as itself: one line, no markup, no links."""
    line = shorten(" ".join(neutral_lines(text)).strip(), _CELL)
    return _ACTIVE.sub(lambda match: f"&#{ord(match[0])};", line)


def _redacted(value: T, masker: Masker) -> T:
    """Return ``value`` with all its strings redacted; escaping would disguise secrets."""
    if isinstance(value, str):
        return cast("T", masker.redact(" ".join(neutral_lines(masker.redact(value)))))
    if isinstance(value, tuple | list):
        return cast("T", tuple(_redacted(item, masker) for item in value))
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value)]
        return replace(value, **{name: _redacted(getattr(value, name), masker) for name in names})
    return value


def _error(summary: Summary) -> Iterator[str]:
    """Show what went wrong and what to do about it."""
    if summary.error:
        yield f"**What happened:** {escape(summary.error)}"
    if summary.hint:
        yield f"**What to do:** {escape(summary.hint)}"


def _modules(modules: Sequence[ModuleRow]) -> Iterator[str]:
    """List the modules: a table for the eye, and the digests below it to compare with."""
    if not modules:
        return
    yield _table(
        ("Module", "Version", "Ignition", "Size", "Signed by", "Result"),
        [
            (
                _named(module),
                escape(module.version),
                escape(module.ignition_version),
                _size(module.size),
                escape(module.signer),
                _linked(module),
            )
            for module in modules
        ],
    )
    yield _table(
        ("File", "SHA-256", "Certificate SHA-1 (as the gateway shows it)", "Certificate SHA-256"),
        [
            (
                _code(module.file),
                _code(module.sha256),
                _code(module.certificate_sha1),
                _code(module.certificate_sha256),
            )
            for module in modules
        ],
    )


def _next_steps(steps: Sequence[str]) -> Iterator[str]:
    """List the next steps."""
    if steps:
        yield "### What to do next"
        yield "\n".join(f"- {escape(step)}" for step in steps[:20])


def _stages(stages: Sequence[StageRow]) -> Iterator[str]:
    """Show where the time went: a chart, and a table with the reasons for skipping."""
    if not stages:
        return
    yield "### Stages"
    yield _chart(stages)
    yield _table(
        ("Stage", "Result", "Time", "Remark"),
        [
            (
                escape(stage.name),
                f"{_MARKS.get(stage.result, '')} {escape(stage.result)}".strip(),
                f"{stage.seconds:.1f} s",
                escape(stage.reason),
            )
            for stage in stages
        ],
    )


def _chart(stages: Sequence[StageRow]) -> str:
    """Draw the stages one after another as a Mermaid gantt, in milliseconds from the start."""
    lines = ["```mermaid", "gantt", "    dateFormat x", "    axisFormat %M:%S"]
    start = 0
    for stage in [stage for stage in stages if stage.result != "skipped"][:100]:
        end = start + max(1, round(stage.seconds * 1000))
        tag = "crit" if stage.result == "failed" else "done"
        name = re.sub(r"[^A-Za-z0-9 ._-]", " ", stage.name).strip()[:60] or "stage"
        lines.append(f"    {name} :{tag}, {start}, {end}")
        start = end
    return "\n".join([*lines, "```"])


def _findings(findings: Sequence[FindingRow]) -> Iterator[str]:
    """List the findings, the worst first."""
    if not findings:
        return
    yield f"### Findings ({len(findings)})"
    order = worst_first(located.finding for located in findings)
    files = {id(located.finding): located.file for located in findings}
    yield _table(
        ("Severity", "Code", "Where", "What", "What to do"),
        [
            (
                _SEVERITIES[finding.severity],
                _code(finding.code),
                escape(finding_place(finding, file=files[id(finding)])),
                escape(finding.message),
                escape(finding.hint),
            )
            for finding in order
        ],
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of as many rows as fit; a last line counts the others."""
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    used = 0
    for number, row in enumerate(rows):
        line = f"| {' | '.join(row)} |"
        used += len(line)
        if used > _BUDGET:
            lines.append(f"\n… and {len(rows) - number} more; the result file has everything.")
            break
        lines.append(line)
    return "\n".join(lines)


def _named(module: ModuleRow) -> str:
    """Return name and id of a module."""
    return f"{escape(module.name)} {_code(module.id)}" if module.name else _code(module.id)


def _linked(module: ModuleRow) -> str:
    """Return the result, linked to where the release is when that is a web page."""
    result = escape(module.result) or "—"
    if not re.fullmatch(r"https?://[\x21-\x7e]{1,1000}", module.url):
        return result
    address = re.sub(r"""[&<>"'|`\\]""", lambda match: f"&#{ord(match[0])};", module.url)
    return f'<a href="{address}">{result}</a>'


def _code(text: str) -> str:
    """Return text as code; HTML, since text could break out of Markdown's backticks."""
    return f"<code>{escape(text)}</code>" if text else ""


def _size(size: int) -> str:
    """Return a number of bytes for people."""
    if not size:
        return ""
    return f"{size / 1_000_000:.1f} MB" if size >= 100_000 else f"{size / 1000:.1f} kB"
