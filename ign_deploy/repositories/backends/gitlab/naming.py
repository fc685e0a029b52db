"""What our paths are called in GitLab's package registry, whose grammar for names is narrower.

A version is the generic package ``<id>`` ``<version>``. Documents are in a package whose name no
module can have, one version of it per folder.
"""

from __future__ import annotations

import re
from urllib.parse import quote

# A module's id begins with a letter or a digit.
DOCUMENTS = "_ign-deploy"
_ROOT = "root"

# GitLab: names [A-Za-z0-9._+-]+, versions the same without '..', files also '~' inside.
_OUTSIDE = re.compile(r"[^A-Za-z0-9_.-]|^\.|\.\Z|(?<=\.)\.")
_ESCAPE = re.compile(r"\+([0-9A-F]{2})")
_CLAIM = re.compile(r"claim-(0|[1-9][0-9]{0,5})-[A-Za-z0-9_.+-]{1,200}\.json")


def encode(text: str) -> str:
    """Write a text in the characters that GitLab accepts; each byte of another is ``+XX``."""
    octets = text.encode().decode("latin-1")
    return _OUTSIDE.sub(lambda match: f"+{ord(match[0]):02X}", octets)


def decode(name: str) -> str | None:
    """Return the text that ``encode`` wrote; None for a name that it never writes."""
    octets = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
    try:
        text = octets.encode("latin-1").decode()
    except UnicodeError:
        return None
    return text if encode(text) == name else None


def document_version(folder: str) -> str:
    """Return the version of the package DOCUMENTS that holds a folder's documents."""
    if not folder:
        return _ROOT
    version = encode(folder)
    return version if version != _ROOT else "+72oot"


def claim_name(generation: int, holder: str) -> str:
    """Return the file name of a claim: each run has its own, so nothing is ever replaced."""
    return f"claim-{generation}-{encode(holder)}.json"


def claim_generation(name: str) -> int | None:
    """Return the generation of a claim by its file name, None if it isn't a claim."""
    match = _CLAIM.fullmatch(name)
    return None if match is None else int(match[1])


def file_path(package: str, version: str, name: str) -> str:
    """Return a file's path in the API, below the project."""
    parts = (quote(part, safe="") for part in (package, version, name))
    return f"/packages/generic/{'/'.join(parts)}"
