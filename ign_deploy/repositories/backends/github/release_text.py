"""What people read on a release: its title and its text, with untrusted text made harmless.

Notes stay Markdown, but can't hold HTML, and no mentions: a mention would send a message to a
person, and notes may be made of strangers' commit messages.
"""

from __future__ import annotations

import re

from ign_deploy.repositories.record import Release

_LONGEST_TITLE = 200
# GitHub takes 125,000 characters; the whole notes are in release.json.
_LONGEST_NOTES = 100_000
_LONGEST_CELL = 400
_MENTION = re.compile(r"@(?=[A-Za-z0-9])")
# Renders as @ and an invisible space, which no mention has.
_NO_MENTION = "@&#8203;"
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|>~$:])")
_RUN = re.compile(r"<!-- ign-deploy run ([0-9a-f]{32}) -->")


def title_of(release: Release) -> str:
    """Return ``<name> <version>`` as one line."""
    return f"{_line(release.name)[:_LONGEST_TITLE]} {release.version}".strip()


def text_of(release: Release, *, run: str) -> str:
    """Return the release's text; ``run`` (32 hex digits) is hidden in it, to find it again."""
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
    return "\n".join([f"<!-- ign-deploy run {run} -->", "", *table, "", _notes(release.notes)])


def run_of(text: str | None) -> str:
    """Return the run that is hidden in a release's text; empty when there is none."""
    match = _RUN.search(text or "")
    return match[1] if match else ""


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
