"""The page as bytes: one HTML file that is the same for every repository.

It executes nothing but its own script, which puts the repository's documents into the page as text.
All bytes are ASCII, so that no host's idea of the page's encoding can change them.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from functools import cache
from importlib import resources

PAGE_NAME = "index.html"

_SCRIPTS = ("text.js", "documents.js", "version.js", "page.js")
_VARIABLE = re.compile(r"\{\{([a-z]+)\}\}")


@cache
def page_bytes() -> bytes:
    """Return the page: the same bytes for each release of ign-deploy."""
    style, script = _asset("page.css"), _script()
    parts = {
        "policy": content_policy(style=style, script=script),
        "script": script,
        "style": style,
    }
    # In one pass: what is put in isn't looked at again.
    return _VARIABLE.sub(lambda match: parts[match[1]], _asset("page.html")).encode("ascii")


def content_policy(*, style: str, script: str) -> str:
    """Return the Content-Security-Policy: this style, this script, and own documents.

    'self' and file: are for documents as scripts; the trusted-types policy lets no others through.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}' 'self' file:",
            f"style-src '{_digest(style)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types ign-deploy",
        )
    )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _script() -> str:
    """Return the files as one script whose names nothing else in the document can reach."""
    return '"use strict";\n(() => {\n' + "\n".join(map(_asset, _SCRIPTS)) + "})();\n"


def _asset(name: str) -> str:
    path = resources.files("ign_deploy.repositories.page").joinpath("assets", name)
    return path.read_text("ascii")
