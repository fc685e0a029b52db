"""The root ``index.json``: one short line for each module, whatever its versions say.

Every publication reads and writes all of it, so a line has at most some hundred bytes: its texts
are cut, and the module's own index has them in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from operator import itemgetter

from pydantic import TypeAdapter, ValidationError

# pydantic reads the standard library's TypedDict only from Python 3.12 on.
from typing_extensions import TypedDict

from ign_deploy.module.ignition import line_required
from ign_deploy.repositories import CatalogueEntry
from ign_deploy.repositories.index import (
    API_VERSION,
    Meta,
    ModuleIndex,
    VersionEntry,
    Yanked,
    yank_reason,
)
from ign_deploy.repositories.versions import is_final

_LONGEST_NAME = 100
_LONGEST_TEXT = 200
_MOST_TAGS = 10
_LONGEST_TAG = 40
_MOST_LINES = 8

# Keys are declared in sorted order: reading keeps the order of declaration, so writing is sorted.
ModuleEntry = TypedDict(
    "ModuleEntry",
    {
        "count": int,
        "description": str,
        "id": str,
        "latest": str,
        "lines": dict[str, str],
        "name": str,
        "removed": int,
        "requires-ignition": str,
        "status_events": int,
        "tags": list[str],
        "upload-time": str,
        "vendor": str,
        "yanked": Yanked,
    },
)


class RootIndex(TypedDict):
    """The modules, ordered by id."""

    meta: Meta
    modules: list[ModuleEntry]


@cache
def _root_adapter() -> TypeAdapter[RootIndex]:
    return TypeAdapter(RootIndex)


def parse_root_index(data: bytes) -> RootIndex | None:
    """Read the root index; None when it is corrupt."""
    try:
        return _root_adapter().validate_json(data, strict=True)
    except ValidationError:
        return None


def module_entry(index: ModuleIndex) -> ModuleEntry:
    """Return a module's line of the root index.

    ``lines`` has the newest usable version for each line of Ignition.
    """
    latest = next(file for file in index["files"] if file["version"] == index["latest"])
    yanked = latest["yanked"]
    newest = newest_of_lines(index["files"])
    return {
        "count": len(index["files"]),
        "description": _short(index["description"], _LONGEST_TEXT),
        "id": index["id"],
        "latest": index["latest"],
        "lines": {
            line: newest[line]["version"] for line in sorted(newest, key=_numbers)[-_MOST_LINES:]
        },
        "name": _short(index["name"], _LONGEST_NAME),
        "removed": index["removed"],
        "requires-ignition": _short(latest["requires-ignition"], _LONGEST_TAG),
        "status_events": index["status_events"],
        "tags": [_short(tag, _LONGEST_TAG) for tag in index["tags"][:_MOST_TAGS]],
        "upload-time": latest["upload-time"],
        "vendor": _short(index["vendor"], _LONGEST_NAME),
        "yanked": _short(yanked, _LONGEST_TEXT) if isinstance(yanked, str) else yanked,
    }


def newest_of_lines(files: Sequence[VersionEntry]) -> dict[str, VersionEntry]:
    """Return the newest version for each line of Ignition out of those that aren't yanked.

    A final release is preferred to a prerelease. ``files`` are sorted, oldest first.
    """
    found: dict[str, VersionEntry] = {}
    settled: set[str] = set()
    for file in reversed(files):
        line = line_required(file["requires-ignition"])
        if not line or line in settled or file["yanked"] is not False:
            continue
        if is_final(file["version"]):
            found[line] = file
            settled.add(line)
        else:
            found.setdefault(line, file)
    return found


def _numbers(line: str) -> list[int]:
    return [int(part) for part in line.split(".")]


def make_root(kept: Iterable[ModuleEntry], *, added: Sequence[ModuleEntry]) -> RootIndex:
    """Return the root index; ``kept`` are an earlier one's lines in their order."""
    modules = [*kept, *added]
    # Nearly sorted already, which makes this cheap.
    modules.sort(key=itemgetter("id"))
    return {"meta": {"api-version": API_VERSION}, "modules": modules}


def module_row(entry: ModuleEntry) -> CatalogueEntry:
    """Return the catalogue entry of a line of the root index: the module's newest version."""
    return CatalogueEntry(
        id=entry["id"],
        name=entry["name"],
        version=entry["latest"],
        description=entry["description"],
        tags=tuple(entry["tags"]),
        requires_ignition=entry["requires-ignition"],
        published_at=entry["upload-time"],
        yanked=yank_reason(entry["yanked"]),
        versions=entry["count"],
    )


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
