"""The title and text of a release: what a person needs to know, and the mark of our drafts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from ign_deploy.repositories.record import Release

_LONGEST_TITLE = 200
# GitHub takes 125,000 characters; the whole notes are in release.json.
_LONGEST_NOTES = 100_000
_LONGEST_CELL = 400
_MENTION = re.compile(r"@(?=[A-Za-z0-9])")
# Renders as @ and an invisible space, which no mention has.
_NO_MENTION = "@&#8203;"
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|>~$:])")
_MARK = re.compile(r"<!-- ign-deploy run ([0-9a-f]{32}) until (\d{8}T\d{6}Z) -->")
_TIME = "%Y%m%dT%H%M%SZ"


class DraftMark(NamedTuple):
    """Which run made a draft (32 hex digits), and ``until`` when it could publish it."""

    run: str
    until: datetime


def title_of(release: Release) -> str:
    """Return ``<name> <version>`` as one line."""
    return f"{_line(release.name)[:_LONGEST_TITLE]} {release.version}".strip()


def text_of(release: Release, *, mark: DraftMark) -> str:
    """Return the release's text; the mark is hidden in it, to find it again."""
    rows = [
        ("Module", f"`{release.id}`"),
        ("SHA-256", f"`{release.module_file.sha256}`"),
        ("Signed by", _cell(release.certificate.subject)),
        ("Certificate, SHA-256", f"`{release.certificate.sha256}`"),
        ("Certificate, SHA-1 (as the gateway shows it)", f"`{release.certificate.sha1}`"),
        ("Requires Ignition", _cell(release.required_ignition_version) or "not stated"),
    ]
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    # The notes come last: an unclosed code block in them can't swallow the table.
    hidden = f"<!-- ign-deploy run {mark.run} until {mark.until.astimezone(UTC):{_TIME}} -->"
    return "\n".join([hidden, "", *table, "", _notes(release.notes)])


def mark_of(text: str | None) -> DraftMark | None:
    """Return the mark that is hidden in a release's text; None when there is none."""
    match = _MARK.match(text or "")
    if match is None:
        return None
    try:
        until = datetime.strptime(match[2], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return DraftMark(match[1], until)


def _notes(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    safe = _harmless("\n".join(_line(line, kept="\t") for line in lines).strip())
    if len(safe) > _LONGEST_NOTES:
        safe = f"{safe[:_LONGEST_NOTES]}…\n\n(cut off; all of it is in release.json)"
    return safe


def _cell(text: str) -> str:
    """Return an untrusted text as it is, not as Markdown, in one line."""
    line = _line(text)
    shown = line if len(line) <= _LONGEST_CELL else f"{line[:_LONGEST_CELL]}…"
    return _PUNCTUATION.sub(r"\\\1", shown).replace("&", "&amp;").replace(
        "<", "&lt;"
    ).replace("@", _NO_MENTION)  # fmt: skip


def _harmless(text: str) -> str:
    # An ampersand first, or "&lt;" of the notes would become "<" again.
    safe = text.replace("&", "&amp;").replace("<", "&lt;")
    return _MENTION.sub(_NO_MENTION, safe)


def _line(text: str, *, kept: str = "") -> str:
    return "".join(char if char.isprintable() or char in kept else " " for char in text)
