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

from ign_deploy.repositories.page.data import PageModule
from ign_deploy.repositories.page.plain import plain_table, visible

PAGE_NAME = "index.html"
FORMAT = 1
"""Number of the embedded data's form; a page of another form is not read but made anew."""

DATA_START = b'<script type="application/json" id="_data">'
DATA_END = b"</script>"

_SCRIPTS = ("text.js", "version.js", "page.js")
_TITLE_LENGTH = 200
_PLACE = re.compile(r"\{\{([a-z]+)\}\}")
# ASCII in JSON takes care of the rest, U+2028 and U+2029 included.
_MARKUP = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&"})


def render_page(modules: Sequence[PageModule], *, title: str = "Ignition modules") -> bytes:
    """Return the page that shows these modules, in their order; equal input, equal bytes.

    Modules without versions are left out.
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
    page = _PLACE.sub(lambda match: parts[match[1]], _asset("page.html"))
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
