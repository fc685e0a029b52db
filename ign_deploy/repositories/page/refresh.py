"""A module on the page, brought up to date from its index, few records, and the page itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from ign_deploy.repositories.index import ModuleIndex, VersionEntry
from ign_deploy.repositories.page.data import (
    MODULES_FOLDER,
    SHOWN,
    PageModule,
    PageVersion,
    ignition_line,
    module_texts,
    no_versions,
    page_version,
    shortened_reason,
)
from ign_deploy.repositories.page.render import DATA_END, DATA_START, FORMAT
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.versions import is_final


def refresh_module(
    index: ModuleIndex | None,
    *,
    module_id: str,
    old: PageModule | None,
    read: Callable[[str], Release | None],
) -> PageModule:
    """Return what the page shows of a module.

    ``old`` is what it showed before: a version's record never changes, so only versions that it
    lacks are read. ``read`` returns None for a record that can't be read; that version is skipped.
    """
    if index is None or not index["files"]:
        return no_versions(module_id)
    known = {} if old is None else {each["version"]: each for each in old["versions"]}
    shown = [
        version
        for line in shown_lines(index["files"])
        if (version := _shown(line, module_id, known.get(line["version"]), read)) is not None
    ]
    if not shown:
        return no_versions(module_id)
    return {
        "count": len(index["files"]),
        "id": module_id,
        "latest": index["latest"],
        "versions": shown,
        **module_texts(index["name"], index["description"], index["tags"]),
    }


def shown_lines(files: Sequence[VersionEntry]) -> list[VersionEntry]:
    """Return the lines (oldest first) of the versions that are kept in full, newest first.

    The newest ones and, however old, the newest usable one of each line of Ignition, so that the
    page's filter finds it.
    """
    newest_first = list(reversed(files))
    usable = [
        line for line in newest_first if line["yanked"] is False and is_final(line["version"])
    ]
    of_lines: dict[str, VersionEntry] = {}
    for line in usable:
        of_lines.setdefault(ignition_line(line["requires-ignition"]), line)
    kept = _first([*usable[:1], *of_lines.values(), *newest_first], count=SHOWN)
    return [line for line in newest_first if line["version"] in kept]


def _first(lines: Iterable[VersionEntry], *, count: int) -> set[str]:
    versions = dict.fromkeys(line["version"] for line in lines)
    return {version for version, _ in zip(versions, range(count), strict=False)}


def _shown(
    line: VersionEntry,
    module_id: str,
    known: PageVersion | None,
    read: Callable[[str], Release | None],
) -> PageVersion | None:
    yanked = line["yanked"]
    reason = None if yanked is False else yanked if isinstance(yanked, str) else ""
    if known is not None and known["file"]["sha256"] == line["hashes"]["sha256"]:
        return {**known, "yanked": shortened_reason(reason)}
    release = read(line["version"])
    if release is None:
        return None
    folder = f"{MODULES_FOLDER}/{module_id}/{release.version}"
    return page_version(release, folder=folder, yanked=reason)


MAX_PAGE_SIZE = 64 << 20
"""Bytes beyond which a page is not read, but rebuilt."""


class _Document(TypedDict):
    format: int
    modules: list[PageModule]


@cache
def _adapter() -> TypeAdapter[_Document]:
    return TypeAdapter(_Document)


def read_page(data: bytes) -> list[PageModule] | None:
    """Return the modules that a page shows.

    None when it is another program's page, one of another format, or corrupt: the page can be
    rebuilt from the records.
    """
    if len(data) > MAX_PAGE_SIZE or data.count(DATA_START) != 1:
        return None
    embedded, end, _ = data.partition(DATA_START)[2].partition(DATA_END)
    if not end:
        return None
    try:
        document = _adapter().validate_json(embedded, strict=True)
    except ValidationError:
        return None
    return document["modules"] if document["format"] == FORMAT else None


def merge(modules: Sequence[PageModule], changed: PageModule) -> list[PageModule]:
    """Return the modules by id, with ``changed`` instead of what was known of it.

    Without versions it is taken out.
    """
    merged = {module["id"]: module for module in modules}
    merged[changed["id"]] = changed
    if not changed["versions"]:
        del merged[changed["id"]]
    return [merged[module_id] for module_id in sorted(merged)]
