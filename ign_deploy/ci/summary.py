"""The Markdown summary of a run, as people read it: verdict, cause and next step come first.

Then what was found, what was done, what to compare, and last where the time went. Every string may
come from a build or a file, so it is neutralised and escaped for HTML and Markdown. Each part has a
limit of its own, so that the page stays below the mebibyte that GitHub accepts, and in each part
failures come first: they are what remains if something has to go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar, cast

from ign_deploy.ci.markdown import (
    code,
    escape,
    link,
    markdown_list,
    markdown_table,
    prose,
    split_steps,
)
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.text import finding_place, neutral_lines
from ign_deploy.errors import with_subject
from ign_deploy.module.findings import Finding, Severity

T = TypeVar("T")

_FINDINGS, _TABLES, _MODULES, _FINGERPRINTS, _STEPS, _STAGES = (
    300_000,
    200_000,
    150_000,
    80_000,
    50_000,
    100_000,
)
"""Bytes: together less than the mebibyte, with verdict and cause."""
_CAUSE = 4000
"""Characters that are shown of the cause."""
_CERTAIN = 20
"""How many stages fit, whatever is in them."""
_UNFOLDED = 5
"""How many digests are shown without a click."""
_CHARTED = 60
"""Seconds: a shorter run needs no chart."""
_MARKS = {"ok": "✅", "failed": "❌", "skipped": "⏭️"}
_SEVERITIES = {Severity.ERROR: "❌ error", Severity.WARNING: "⚠️ warning", Severity.INFO: "info"}
_URGENCY = ("failed", "skipped")


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
    reason: str = ""
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
class SummaryTable:
    """A command's own table, such as gateways or paths: plain text, what failed first."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


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
    tables: Sequence[SummaryTable] = ()
    stages: Sequence[StageRow] = ()
    next_steps: Sequence[str] = ()


def render_summary(summary: Summary, *, masker: Masker) -> str:
    """Return the page as GitHub-flavoured Markdown, ending with a newline, without secrets."""
    summary = _redacted(summary, masker)
    modules = sorted(summary.modules, key=_urgency)
    parts = [
        f"## {_MARKS['ok' if summary.succeeded else 'failed']} {escape(summary.headline)}",
        *_cause(summary),
        *_next_steps([*split_steps(summary.hint), *summary.next_steps]),
        *_findings([each for each in summary.findings if not _is_cause(each, summary)]),
        *_tables(summary.tables),
        *_modules(modules),
        *_fingerprints(modules),
        *_stages(summary.stages),
    ]
    return "\n\n".join(parts) + "\n"


def _redacted(value: T, masker: Masker) -> T:
    """Return ``value`` with all its strings redacted; escaping would disguise secrets."""
    if isinstance(value, str):
        return cast("T", masker.redact("\n".join(neutral_lines(masker.redact(value)))))
    if isinstance(value, tuple | list):
        return cast("T", tuple(_redacted(item, masker) for item in value))
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value)]
        return replace(value, **{name: _redacted(getattr(value, name), masker) for name in names})
    return value


def _urgency(module: ModuleRow) -> int:
    result = module.result.partition(":")[0]
    return _URGENCY.index(result) if result in _URGENCY else len(_URGENCY)


def _cause(summary: Summary) -> Iterator[str]:
    """Show why the run failed, and where."""
    if not summary.error:
        return
    yield f"**Cause:** {prose(summary.error, length=_CAUSE)}"
    for each in summary.findings:
        place = _place(each)
        if _is_cause(each, summary) and with_subject(place, summary.error) != summary.error:
            yield f"**Where:** {code(place)}"
            return


def _is_cause(row: FindingRow, summary: Summary) -> bool:
    """Return whether a finding is the error itself, which is on top already."""
    return row.finding.severity is Severity.ERROR and row.finding.message == summary.error


def _place(row: FindingRow) -> str:
    return finding_place(row.finding, file=row.file)


def _next_steps(steps: Sequence[str]) -> Iterator[str]:
    """List the next steps, each once."""
    entries = list(dict.fromkeys(prose(f"{step[:1].upper()}{step[1:]}") for step in steps if step))
    if entries:
        yield "### Next"
        yield markdown_list(entries, size=_STEPS, numbered=len(entries) > 1)


def _findings(findings: Sequence[FindingRow]) -> Iterator[str]:
    """List the findings, the worst first."""
    if not findings:
        return
    yield f"### Findings ({len(findings)})"
    yield markdown_table(
        ("Severity", "Code", "Where", "What", "What to do"),
        [
            (
                _SEVERITIES[each.finding.severity],
                code(each.finding.code),
                escape(_place(each)),
                prose(each.finding.message),
                prose(each.finding.hint),
            )
            for each in sorted(findings, key=lambda each: each.finding.severity)
        ],
        size=_FINDINGS,
    )


def _tables(tables: Sequence[SummaryTable]) -> Iterator[str]:
    """Show the command's own tables."""
    for each in tables:
        if each.rows:
            yield f"### {escape(each.title)}"
            yield markdown_table(
                [escape(title) for title in each.header],
                [[prose(cell) for cell in row] for row in each.rows],
                size=_TABLES // len(tables),
            )


def _modules(modules: Sequence[ModuleRow]) -> Iterator[str]:
    """List the modules, those that failed first; none if another table has what became of them."""
    if not any(module.result for module in modules):
        return
    yield "### Modules"
    yield markdown_table(
        ("Module", "Version", "Ignition", "Size", "Result", "Reason"),
        [
            (
                _named(module),
                escape(module.version),
                escape(module.ignition_version),
                _size(module.size),
                link(module.result, url=module.url),
                prose(module.reason),
            )
            for module in modules
        ],
        size=_MODULES,
    )


def _fingerprints(modules: Sequence[ModuleRow]) -> Iterator[str]:
    """List what people compare: each certificate once, then the files' digests."""
    certificates = {
        (module.signer, module.certificate_sha1, module.certificate_sha256): None
        for module in modules
        if module.certificate_sha1
    }
    entries = [
        entry
        for signer, sha1, sha256 in certificates
        for entry in (
            f"**Signed by:** {escape(signer)}",
            f"**Certificate SHA-1, as the gateway shows it:** {code(sha1)}",
            f"**Certificate SHA-256:** {code(sha256)}",
        )
    ]
    digests = [
        f"**{escape(module.file or f'{module.id} {module.version}')}** SHA-256: "
        f"{code(module.sha256)}"
        for module in modules
        if module.sha256
    ]
    if not entries and not digests:
        return
    yield "### Fingerprints"
    is_folded = len(digests) > _UNFOLDED
    yield markdown_list([*entries, *([] if is_folded else digests)], size=_FINGERPRINTS)
    if is_folded:
        yield f"<details><summary>SHA-256 of {len(digests)} files</summary>"
        yield markdown_list(digests, size=_FINGERPRINTS)
        yield "</details>"


def _stages(stages: Sequence[StageRow]) -> Iterator[str]:
    """Show where the time went; a chart only where there is much of it."""
    if not stages:
        return
    yield "### Stages"
    if sum(stage.seconds for stage in stages) > _CHARTED:
        yield _chart(stages)
    yield markdown_table(
        ("Stage", "Result", "Time", "Remark"),
        [
            (
                escape(stage.name),
                f"{_MARKS.get(stage.result, '')} {escape(stage.result)}".strip(),
                "" if stage.result == "skipped" else f"{stage.seconds:.1f} s",
                escape(stage.reason),
            )
            for stage in _in_time(stages)
        ],
        size=_STAGES,
    )


def _in_time(stages: Sequence[StageRow]) -> Sequence[StageRow]:
    """Return the stages in their order; those that failed first if perhaps not all fit."""
    if len(stages) <= _CERTAIN:
        return stages
    return sorted(stages, key=lambda stage: stage.result != "failed")


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


def _named(module: ModuleRow) -> str:
    """Return name and id of a module."""
    return f"{escape(module.name)} {code(module.id)}" if module.name else code(module.id)


def _size(size: int) -> str:
    """Return a number of bytes for people."""
    if not size:
        return ""
    return f"{size / 1_000_000:.1f} MB" if size >= 100_000 else f"{size / 1000:.1f} kB"
