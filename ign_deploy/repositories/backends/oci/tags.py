"""Tags: how versions, claims and small documents are named in a repository, and read back.

A version's tag begins with a letter or digit; everything else of ours begins with an underscore,
so that a registry's rule for immutable tags can tell them apart. The underscore is the escape.
"""

from __future__ import annotations

import hashlib
import re

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.record import is_safe_component
from ign_deploy.repositories.store import Key

IMMUTABILITY_TAG = "ign-deploy-immutability"
"""The tag that is written twice, to learn whether tags can be moved; no version's."""

_LONGEST = 128
_SEPARATOR = "_v"
_CLAIM = "_c."
_DOCUMENT = "_d."
_HASHED = "_h."
_VERSION_TAG = re.compile(r"((?:[A-Za-z0-9.-]|__|_p)+)_v((?:[A-Za-z0-9.-]|__|_p)+)")
_PATH = re.compile(r"(?:[A-Za-z0-9.-]|__|_p|_s|_x[0-9a-f]{2})+")
_ESCAPE = re.compile(r"__|_p|_s|_x([0-9a-f]{2})")
_MEANING = {"__": "_", "_p": "+", "_s": "/"}


def version_tag(key: Key) -> str:
    """Return a version's tag, such as ``com.acme.pump_v1.2.0``; RepositoryError if it's too long.

    An underscore is written ``__``, a plus sign ``_p``, and ``_v`` stands between id and version.
    """
    tag = _component(key.id) + _SEPARATOR + _component(key.version)
    longest = _LONGEST - len(_CLAIM)
    if len(tag) > longest:
        raise RepositoryError(
            f"{key.id} {key.version} would need a tag of {len(tag)} characters, but a registry "
            f"accepts at most {longest}",
            hint="shorten the module's id or its version, or use another kind of repository.",
        )
    return tag


def parse_version_tag(tag: str) -> Key | None:
    """Return the version of a tag; None for a tag that isn't ours."""
    match = _VERSION_TAG.fullmatch(tag)
    if match is None:
        return None
    key = Key(_decoded(match[1]), _decoded(match[2]))
    return key if all(map(is_safe_component, key)) else None


def claim_tag(key: Key) -> str:
    """Return the tag for the claims on a version."""
    return _CLAIM + version_tag(key)


def document_tag(path: str) -> str:
    """Return a document's tag; a long path's is a hash, and its manifest holds the path."""
    tag = _DOCUMENT + _path(path)
    if len(tag) <= _LONGEST:
        return tag
    folder, _, name = path.rpartition("/")
    return f"{_hashed_folder(folder)}{_short_hash(name)}"


class FolderTags:
    """Which tags are those of the documents directly in a folder."""

    def __init__(self, folder: str) -> None:
        self._plain = _DOCUMENT + (f"{_path(folder)}_s" if folder else "")
        self._hashed = _hashed_folder(folder)

    def name(self, tag: str) -> str | None:
        """Return the name of the document that a tag holds in plain text; None if it's another."""
        rest = tag.removeprefix(self._plain)
        if rest == tag or _PATH.fullmatch(rest) is None:
            return None
        try:
            name = _decoded(rest)
        except UnicodeDecodeError:
            return None
        # Only what we write ourselves: a second spelling would be a second document.
        return name if "/" not in name and _path(name) == rest else None

    def is_hashed(self, tag: str) -> bool:
        """Return whether the tag is of a document in the folder whose manifest has its path."""
        return tag.startswith(self._hashed)


def _component(text: str) -> str:
    return text.replace("_", "__").replace("+", "_p")


def _path(path: str) -> str:
    return "".join(map(_escaped, path))


def _escaped(character: str) -> str:
    if character.isascii() and (character.isalnum() or character in ".-"):
        return character
    for escape, meaning in _MEANING.items():
        if character == meaning:
            return escape
    return "".join(f"_x{byte:02x}" for byte in character.encode())


def _decoded(text: str) -> str:
    def meaning(match: re.Match[str]) -> bytes:
        return bytes.fromhex(match[1]) if match[1] else _MEANING[match[0]].encode()

    parts: list[bytes] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        parts += [text[end : match.start()].encode(), meaning(match)]
        end = match.end()
    return b"".join([*parts, text[end:].encode()]).decode()


def _hashed_folder(folder: str) -> str:
    return f"{_HASHED}{_short_hash(folder)}."


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]
