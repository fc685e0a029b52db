"""Mirroring: which versions a mirror copies; each of them is verified."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.checks import check_repository
from ign_deploy.pipeline.context import RunContext, open_mirror_source
from ign_deploy.pipeline.verify import verify_file

if TYPE_CHECKING:
    from ign_deploy.repositories import CatalogueEntry, Repository
    from ign_deploy.repositories.mirror import Mirrored


def open_source(url: str, context: RunContext) -> Repository:
    """Return the repository to copy from, once the target and the trust anchors are checked."""
    _ = context.workspace.trust_anchors  # before anything is transferred
    source = open_mirror_source(url, context)
    check_repository(context)
    return source


def entries_to_mirror(
    source: Repository, names: Sequence[str], *, every_version: bool
) -> list[CatalogueEntry]:
    """Return the versions that the names select, oldest first; without names, of all modules.

    A name is an id or name, with ``@VERSION`` or ``@RANGE``; without it, it is the newest version,
    or every one. Yanked versions are copied with every version, and when given by exact version.
    """
    from ign_deploy.repositories.search import ListFilter, choose_version, find_module, list_modules
    from ign_deploy.repositories.versions import VersionRange, is_range

    if not names:
        wanted = ListFilter(every_version=every_version, include_yanked=every_version)
        return list(reversed(list_modules(source, wanted)))
    found: list[CatalogueEntry] = []
    for text in names:
        name, at, version = text.partition("@")
        history = source.catalogue(find_module(source, name=name).id)
        if every_version and at and is_range(version):
            version_range = VersionRange.parse(version)
            chosen = [entry for entry in history if version_range.holds(entry.version)]
        elif every_version and not at:
            chosen = list(history)
        else:
            number = choose_version(source, module_id=history[0].id, wanted=version or None)
            chosen = [entry for entry in history if entry.version == number]
        found += reversed(chosen)
    return list(dict.fromkeys(found))


def copy_versions(
    source: Repository, entries: Sequence[CatalogueEntry], context: RunContext
) -> Sequence[Mirrored]:
    """Copy the versions into the run's repository; each goes into the audit trail."""
    from ign_deploy.repositories.mirror import mirror

    def verify(path: Path) -> VerifiedModule:
        return verify_file(path, context, match_settings=False)

    done = mirror(source, context.repository, entries, verify=verify, reporter=context.reporter)
    for each in done:
        context.audit.record(
            "mirror",
            each.outcome.value,
            now=context.now,
            subject={"module": each.release.id, "version": each.release.version},
            sha256=each.release.module_file.sha256,
        )
    return done
