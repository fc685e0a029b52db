"""The page as bytes: one HTML file that loads nothing and executes nothing but its own script.

The modules are embedded as JSON and put into the document as text by the script. Without
JavaScript a plain table is shown instead. All bytes are ASCII, so that no host's idea of the
page's encoding can change them.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib import resources
from urllib.parse import quote

from ign_deploy.repositories.page.data import MODULES_FOLDER, PageModule, PageVersion

PAGE_NAME = "index.html"
FORMAT = 1
"""Version of the embedded data's format; a page of another one is not read but rebuilt."""

DATA_START = b'<script type="application/json" id="_data">'
DATA_END = b"</script>"

_SCRIPTS = ("text.js", "version.js", "page.js")
_TITLE_LENGTH = 200
_VARIABLE = re.compile(r"\{\{([a-z]+)\}\}")
# ASCII in JSON takes care of the rest, U+2028 and U+2029 included.
_MARKUP = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&"})


def render_page(modules: Sequence[PageModule], *, title: str = "Ignition modules") -> bytes:
    """Return the page that shows these modules, in their order; equal input, equal bytes.

    Modules without versions are skipped.
    """
    modules = [module for module in modules if module["versions"]]
    style, script = _asset("page.css"), _script()
    parts = {
        "data": DATA_START.decode() + _embedded(modules) + DATA_END.decode(),
        "plain": plain_table(modules),
        "policy": content_policy(style=style, script=script),
        "script": script,
        "style": style,
        "title": escape(visible(title[:_TITLE_LENGTH])),
    }
    # In one pass: what is put in isn't looked at again.
    page = _VARIABLE.sub(lambda match: parts[match[1]], _asset("page.html"))
    return page.encode("ascii", "xmlcharrefreplace")


def content_policy(*, style: str, script: str) -> str:
    """Return the Content-Security-Policy: this style, this script, own JSON; nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _embedded(modules: Sequence[PageModule]) -> str:
    document = {"format": FORMAT, "modules": modules}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.translate(_MARKUP)


def _digest(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _script() -> str:
    """Return the files as one script whose names nothing else in the document can reach."""
    return '"use strict";\n(() => {\n' + "\n".join(map(_asset, _SCRIPTS)) + "})();\n"


@cache
def _asset(name: str) -> str:
    path = resources.files("ign_deploy.repositories.page").joinpath("assets", name)
    return path.read_text("ascii")


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
