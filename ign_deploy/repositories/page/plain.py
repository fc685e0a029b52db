"""The modules as a plain table, for browsers that execute no script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from ign_deploy.repositories.page.data import MODULES_FOLDER, PageModule, PageVersion

# What is invisible or turns the direction of text. The page's script has the same expression.
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
# Marks above one another, so many that they would lie across other lines.
_MARKS = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_PILED = re.compile(f"({_MARKS}{{4}}){_MARKS}+")
_COLUMNS = ("Module", "Version", "Ignition", "SHA-256", "Files")


def plain_table(modules: Sequence[PageModule]) -> str:
    """Return an HTML table with the latest version of each module."""
    rows = "\n".join(_row(module) for module in modules)
    if not rows:
        return "<p>Nothing is published here yet.</p>"
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"


def visible(text: str) -> str:
    """Return the text with invisible and direction-changing characters as ``U+202E``.

    Of combining marks on one character, four stay.
    """
    return _ODD.sub(lambda match: f"U+{ord(match[0]):04X}", _PILED.sub("\\1…", text))


def _row(module: PageModule) -> str:
    version = next(
        (each for each in module["versions"] if each["version"] == module["latest"]), None
    )
    index = f"{MODULES_FOLDER}/{quote(module['id'], safe='')}/index.json"
    module_id = _text(module["id"])
    every = f'<a href="{escape(index)}">All versions of {module_id} (JSON)</a>'
    name = f'<th scope="row">{_text(module["name"])}<br><code>{module_id}</code></th>'
    if version is None:
        return f'<tr>{name}<td colspan="3"></td><td>{every}</td></tr>'
    file = version["file"]
    # Relative whatever it holds: no scheme, no host.
    address = f"{quote(version['folder'].lstrip('/'), safe='/%')}/{quote(file['name'], safe='')}"
    return (
        f"<tr>{name}<td>{_text(version['version'])}{_warning(version)}</td>"
        f"<td>{_text(version['ignition']) or 'not stated'}</td>"
        f"<td><code>{escape(file['sha256'])}</code></td>"
        f'<td><a href="{escape(address)}">Download {_text(file["name"])}</a><br>{every}</td></tr>'
    )


def _warning(version: PageVersion) -> str:
    if version["yanked"] is None:
        return ""
    reason = _text(version["yanked"]) or "no reason given"
    return f"<br><strong>Yanked, do not install:</strong> {reason}"


def _text(text: str) -> str:
    return f"<bdi>{escape(visible(text))}</bdi>" if text else ""
