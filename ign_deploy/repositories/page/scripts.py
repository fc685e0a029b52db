"""Indexes as scripts, for pages that can't request files: from a folder, or isolated by a server.

A script is one call whose only argument is the document's JSON, as a string: whatever is in a
document, it is text to the browser, and never code. The page parses it as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from ign_deploy.repositories.index import ModuleIndex, VersionEntry
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.root_index import newest_of_lines

SHOWN = 10
"""Versions of a module whose records are in its script, too."""
MOST_VERSIONS = 1_000
MOST_RECORDS_SIZE = 256 << 10
"""Bytes of all records in a script; what is beyond is shown without its record."""
MAX_SCRIPT_SIZE = 16 << 20

_START, _END = "ignDeployDocument(", ");\n"
# ASCII in JSON takes care of the rest, U+2028 and U+2029 included.
_MARKUP = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&"})


def script_path(path: str) -> str:
    """Return where the script of an index is: ``index.js`` for ``index.json``."""
    return f"{path.removesuffix('.json')}.js"


def document_script(document: object) -> bytes:
    """Return a document as a script; equal documents, equal bytes."""
    argument = json.dumps(_json(document)).translate(_MARKUP)
    return f"{_START}{argument}{_END}".encode("ascii")


def module_script(index: ModuleIndex, *, read: Callable[[str], Release | None]) -> bytes:
    """Return a module's index as a script, with the records of ``shown_versions``.

    ``read`` returns None for a record that can't be read. Of many versions it has the newest.
    """
    records, room = [], MOST_RECORDS_SIZE
    shown = shown_versions(index["files"])
    for version in shown:
        release = read(version)
        record = None if release is None else release.model_dump(mode="json")
        size = len(_json(record))
        if record is not None and size <= room:
            records.append(record)
            room -= size
    older = [file for file in index["files"][:-MOST_VERSIONS] if file["version"] in shown]
    files = [*older, *index["files"][-MOST_VERSIONS:]]
    return document_script({"files": files, "id": index["id"], "records": records})


def known_records(script: bytes, index: ModuleIndex) -> dict[str, Release]:
    """Return the records that a module's script has, by version, if they are of the index's files.

    None of a script that can't be read: the records can be read again.
    """
    digests = {file["version"]: file["hashes"]["sha256"] for file in index["files"]}
    found: dict[str, Release] = {}
    for record in _records(script):
        try:
            release = Release.model_validate(record)
        except ValidationError:
            continue
        is_same = digests.get(release.version) == release.module_file.sha256
        if release.id == index["id"] and is_same:
            found[release.version] = release
    return found


def shown_versions(files: Sequence[VersionEntry]) -> list[str]:
    """Return the versions (``files`` are oldest first) that are shown in full, newest first.

    The newest ones and, however old, the newest usable one of each line of Ignition, so that the
    page's filter finds it.
    """
    newest_first = [file["version"] for file in reversed(files)]
    of_lines = {file["version"] for file in newest_of_lines(files).values()}
    usable = [version for version in newest_first if version in of_lines]
    kept = _first([*usable, *newest_first], count=SHOWN)
    return [version for version in newest_first if version in kept]


def _first(versions: Iterable[str], *, count: int) -> set[str]:
    return {version for version, _ in zip(dict.fromkeys(versions), range(count), strict=False)}


def _records(script: bytes) -> list[Any]:
    if len(script) > MAX_SCRIPT_SIZE:
        return []
    try:
        text = script.decode("ascii").removeprefix(_START).removesuffix(_END)
        records = json.loads(json.loads(text))["records"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    return records if isinstance(records, list) else []


def _json(document: object) -> str:
    return json.dumps(document, separators=(",", ":"), sort_keys=True, allow_nan=False)
