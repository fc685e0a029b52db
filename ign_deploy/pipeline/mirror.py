"""Which versions a mirror copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ign_deploy.repositories import CatalogueEntry, Repository


def entries_to_mirror(
    source: Repository, names: Sequence[str], *, every_version: bool
) -> list[CatalogueEntry]:
    """Return the versions that the names ask for, oldest first; without names, of all modules.

    A name is an id or name, with ``@VERSION`` or ``@RANGE``; without it, it is the newest version,
    or every one. Yanked versions are copied with every version, and when asked for by number.
    """
    from ign_deploy.repositories.ranges import VersionRange, is_range
    from ign_deploy.repositories.search import ListFilter, choose_version, find_module, list_modules

    if not names:
        wanted = ListFilter(every_version=every_version, include_yanked=every_version)
        return list(reversed(list_modules(source, wanted)))
    found: list[CatalogueEntry] = []
    for text in names:
        name, at, version = text.partition("@")
        history = source.catalogue(find_module(source, name=name).id)
        if every_version and at and is_range(version):
            wanted_range = VersionRange.parse(version)
            chosen = [entry for entry in history if wanted_range.holds(entry.version)]
        elif every_version and not at:
            chosen = list(history)
        else:
            number = choose_version(source, module_id=history[0].id, wanted=version or None)
            chosen = [entry for entry in history if entry.version == number]
        found += reversed(chosen)
    return list(dict.fromkeys(found))
