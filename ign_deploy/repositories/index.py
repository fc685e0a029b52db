"""A module's index, similar to PEP 691 and 700: never the truth, always rebuildable.

``modules/<id>/index.json`` lists a module's versions; see ``root_index`` for the list of modules.
Both are compact JSON with sorted keys. TypedDicts rather than models: one publication may read and
write ten thousand lines, and plain dicts cost least.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, NotRequired, cast

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import to_json

# pydantic reads the standard library's TypedDict only from Python 3.12 on.
from typing_extensions import TypedDict

from ign_deploy.module.ignition import line_required
from ign_deploy.repositories import CatalogueEntry, ConsentChange
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.status_events import NO_STATUS, ModuleStatus
from ign_deploy.repositories.versions import VersionKey, newest_of_sorted, version_key

API_VERSION = "1.0"
# Up to so many additions are inserted in place; for more, sorting again is cheaper.
_FEW = 50

# False, or the reason; in this order, since pydantic's search for the best fit costs time.
Yanked = Annotated[bool | str, Field(union_mode="left_to_right")]
Meta = TypedDict("Meta", {"api-version": str})


class Hashes(TypedDict):
    """Digests of a file, lower-case hex."""

    sha256: str


# Keys are declared in sorted order: reading keeps the order of declaration, so writing is sorted.
VersionEntry = TypedDict(
    "VersionEntry",
    {
        "filename": str,
        "hashes": Hashes,
        "licence-crc": NotRequired[int],
        "max-ignition": NotRequired[str],
        "requires-ignition": str,
        "signer": NotRequired[str],
        "size": int,
        "upload-time": str,
        "version": str,
        "yanked": Yanked,
    },
)


class ModuleIndex(TypedDict):
    """A module's versions, oldest first; the texts are those of ``latest``.

    ``status_events`` is how many of them ``files`` accounts for: none is ever deleted. ``removed``
    counts the removed versions, which aren't listed.
    """

    description: str
    files: list[VersionEntry]
    id: str
    latest: str
    meta: Meta
    name: str
    removed: int
    status_events: int
    tags: list[str]
    vendor: str
    versions: list[str]


RecordReader = Callable[[str], Release | None]


@cache
def _module_adapter() -> TypeAdapter[ModuleIndex]:
    return TypeAdapter(ModuleIndex)


def parse_module_index(data: bytes) -> ModuleIndex | None:
    """Read a module's index; None when it is corrupt, because it can be rebuilt.

    One that contradicts itself is corrupt as well.
    """
    try:
        index = _module_adapter().validate_json(data, strict=True)
    except ValidationError:
        return None
    versions = [file["version"] for file in index["files"]]
    is_sound = versions == index["versions"] and index["latest"] in (versions or [""])
    return index if is_sound else None


def index_bytes(index: Mapping[str, Any]) -> bytes:
    """Return the index as JSON; equal indexes have equal bytes."""
    return to_json(index) + b"\n"


def version_entry(release: Release) -> VersionEntry:
    """Return a version's line of its module's index."""
    file = release.module_file
    entry: VersionEntry = {
        "filename": file.name,
        "hashes": {"sha256": file.sha256},
        "requires-ignition": release.required_ignition_version,
        "signer": _signer(release),
        "size": file.size,
        "upload-time": release.published_at,
        "version": release.version,
        "yanked": False,
    }
    if release.max_ignition_version:
        entry["max-ignition"] = release.max_ignition_version
    if release.licence_crc is not None:
        entry["licence-crc"] = release.licence_crc
    return entry


def _signer(release: Release) -> str:
    """Return enough of the signer's fingerprint to see whether two versions have the same."""
    return release.certificate.sha1[:16]


def asked_again(index: ModuleIndex, release: Release) -> ConsentChange | None:
    """Return what gateways ask again when they get this version in place of the one before it.

    That is the newest older one for the same line of Ignition; None if they ask nothing.
    """
    line, ours = line_required(release.required_ignition_version), version_key(release.version)
    older = {
        each["version"]: each
        for each in index["files"]
        if line_required(each["requires-ignition"]) == line and _file_key(each) < ours
    }
    previous = older.get(newest_of_sorted(list(older)) or "")
    if previous is None or "signer" not in previous:
        return None
    change = ConsentChange(
        previous["version"],
        certificate=previous["signer"] != _signer(release),
        licence=release.licence_crc not in (None, previous.get("licence-crc")),
    )
    return change if change.certificate or change.licence else None


def merge_module(
    index: ModuleIndex | None,
    *,
    module_id: str,
    present: Collection[str],
    read: RecordReader,
    status: ModuleStatus = NO_STATUS,
) -> ModuleIndex | None:
    """Bring a module's index up to date with the versions that are ``present`` and their status.

    Only the records that the index lacks are read: they never change. Lines whose version is gone
    or removed are dropped; versions for which ``read`` has no record don't count. None when nothing
    is published.
    """
    kept = [version for version in present if not status.is_removed(version)]
    files = _known_files(index, kept)
    known = {file["version"] for file in files}
    added = [release for name in kept if name not in known and (release := read(name))]
    _insert(files, [version_entry(release) for release in added])
    files = [_with_status(file, status) for file in files]
    latest = _latest(files)
    if latest is None:
        return None
    if index is not None and index["latest"] == latest and index["id"] == module_id:
        texts: Mapping[str, Any] = index
    else:
        record = next((each for each in added if each.version == latest), None) or read(latest)
        if record is None:  # removed at this very moment: without it, the next one is the latest
            remaining = [each for each in present if each != latest]
            return merge_module(
                index, module_id=module_id, present=remaining, read=read, status=status
            )
        texts = _texts(record)
    return {
        "description": texts["description"],
        "files": files,
        "id": module_id,
        "latest": latest,
        "meta": {"api-version": API_VERSION},
        "name": texts["name"],
        "removed": len(present) - len(kept),
        "status_events": len(status.names),
        "tags": texts["tags"],
        "vendor": texts["vendor"],
        "versions": [file["version"] for file in files],
    }


def add_version(index: ModuleIndex, release: Release) -> ModuleIndex:
    """Return a module's index with a version that was published just now."""
    files = [file for file in index["files"] if file["version"] != release.version]
    _insert(files, [version_entry(release)])
    latest = _latest(files)
    changed = {**index, "files": files, "versions": [file["version"] for file in files]}
    if latest == release.version:
        changed |= {"latest": latest, **_texts(release)}
    return cast(ModuleIndex, changed)


def _texts(release: Release) -> Mapping[str, Any]:
    """Return what a module's index says as its newest version does."""
    return {
        "description": release.description,
        "name": release.name,
        "tags": list(release.tags),
        "vendor": release.certificate.vendor,
    }


def _latest(files: Sequence[VersionEntry]) -> str | None:
    usable = [file["version"] for file in files if file["yanked"] is False]
    return newest_of_sorted(usable) or newest_of_sorted([file["version"] for file in files])


def _with_status(file: VersionEntry, status: ModuleStatus) -> VersionEntry:
    reason = status.yanked(file["version"])
    yanked = False if reason is None else reason or True
    return file if file["yanked"] == yanked else {**file, "yanked": yanked}


def _known_files(index: ModuleIndex | None, present: Collection[str]) -> list[VersionEntry]:
    if index is None:
        return []
    wanted = set(present)
    return list(
        {file["version"]: file for file in index["files"] if file["version"] in wanted}.values()
    )


def _insert(files: list[VersionEntry], added: Sequence[VersionEntry]) -> None:
    # The index is already sorted: sorting ten thousand lines for one more would dominate the cost.
    if len(added) > _FEW:
        files.extend(added)
        files.sort(key=_file_key)
        return
    for entry in added:
        bisect.insort(files, entry, key=_file_key)


def _file_key(file: VersionEntry) -> VersionKey:
    return version_key(file["version"])


def nothing_published(module_id: str) -> ModuleIndex:
    """Return the index of a module of which no version is left: it has no line in the root."""
    return {
        "description": "",
        "files": [],
        "id": module_id,
        "latest": "",
        "meta": {"api-version": API_VERSION},
        "name": "",
        "removed": 0,
        "status_events": 0,
        "tags": [],
        "vendor": "",
        "versions": [],
    }


def version_rows(index: ModuleIndex) -> tuple[CatalogueEntry, ...]:
    """Return the catalogue entries of a module's versions, newest first."""
    tags = tuple(index["tags"])
    return tuple(
        CatalogueEntry(
            id=index["id"],
            name=index["name"],
            version=file["version"],
            description=index["description"],
            tags=tags,
            requires_ignition=file["requires-ignition"],
            max_ignition=file.get("max-ignition", ""),
            published_at=file["upload-time"],
            yanked=yank_reason(file["yanked"]),
            versions=len(index["files"]),
        )
        for file in reversed(index["files"])
    )


def yank_reason(value: Yanked) -> str | None:
    """Return why something was yanked, None when it isn't."""
    if value is False:
        return None
    return value if isinstance(value, str) else ""
