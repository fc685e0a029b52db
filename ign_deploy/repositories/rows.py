"""From the lines of the indexes to catalogue entries."""

from __future__ import annotations

from ign_deploy.repositories import CatalogueEntry
from ign_deploy.repositories.index import ModuleEntry, ModuleIndex


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
        yanked=_yanked(entry["yanked"]),
        versions=entry["count"],
    )


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
            published_at=file["upload-time"],
            yanked=_yanked(file["yanked"]),
            versions=len(index["files"]),
        )
        for file in reversed(index["files"])
    )


def _yanked(value: bool | str) -> str | None:  # noqa: FBT001 - the type that PEP 691 gives it
    if value is False:
        return None
    return value if isinstance(value, str) else ""
