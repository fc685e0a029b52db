"""The directory repository: a folder or file share that publishes by one atomic rename.

A version stands at ``modules/<id>/<version>/`` and counts only with its ``release.json``. It is
put together in ``.staging/`` and renamed as a whole, so exactly one of several writers wins and
nobody ever sees a part.

A version folder without a record is never ours (a rename brings the record along): somebody made
it by hand, or another tool is publishing into the same share. An empty one is simply replaced.
One with files blocks for a day after its last change, then it is moved to ``.set-aside/``, whence
a person may take it; nothing of others is ever deleted.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import IgnDeployError, NotInRepository, RepositoryError
from ign_deploy.files import locked, os_error_reason, sync_folder
from ign_deploy.report import Progress, Reporter, no_progress
from ign_deploy.repositories import Capabilities, CatalogueEntry, Outcome, Publication, Reindexed
from ign_deploy.repositories.backends.directory.copying import copy_out
from ign_deploy.repositories.backends.directory.documents import LOCK_NAME, DirectoryDocuments
from ign_deploy.repositories.backends.directory.filesystem import (
    READING,
    explained,
    is_real_folder,
    make_folder,
    store_error,
)
from ign_deploy.repositories.backends.directory.index import (
    MODULES_NAME,
    DirectoryIndex,
    newest_change,
    read_release,
)
from ign_deploy.repositories.backends.directory.staging import LEFTOVER_AGE, Staging, staging
from ign_deploy.repositories.conflicts import refuse_removed, require_same
from ign_deploy.repositories.record import (
    RECORD_NAME,
    FileRole,
    Release,
    is_safe_component,
)
from ign_deploy.repositories.rows import module_row, version_rows

SET_ASIDE_NAME = ".set-aside"
# What a rename onto a folder that isn't empty answers, by file system.
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})


class DirectoryRepository:
    """A repository in the folder ``root``, which is made when missing (its parent isn't)."""

    def __init__(self, root: Path, *, reporter: Reporter) -> None:
        self._root = root
        self._modules = root / MODULES_NAME
        self._reporter = reporter
        self._documents = DirectoryDocuments(root)
        self._index = DirectoryIndex(root, reporter=reporter)

    def check(self) -> Capabilities:
        """See ``Repository.check``; whether it is writable is tried, since rights can lie."""
        folder = self._root
        if not folder.exists():
            folder = folder.absolute().parent
        self._require_folder(folder)
        return Capabilities(
            location=str(self._root),
            writable=not (obstacle := _obstacle_to_writing(folder)),
            obstacle=obstacle,
            create_once=True,
            compare_and_swap=True,
            server_digest=False,
            resume=False,
        )

    def publish(
        self, release: Release, *, files: Mapping[str, Path], progress: Progress = no_progress
    ) -> Publication:
        """See ``Repository.publish``."""
        release.require_given(files)
        release.to_json()  # refuses what is too long before anything is copied
        publication = self._settled(release)
        if publication is None:
            self._make_root()
            with staging(self._root) as area:
                area.fill(release, files=files, progress=progress)
                publication = self._show(release, area)
        self._update_indexes(release.id, outcome=publication.outcome)
        return publication

    def catalogue(self, module_id: str | None = None) -> tuple[CatalogueEntry, ...]:
        """See ``Repository.catalogue``."""
        self._require_folder(self._root)
        if module_id is None:
            return tuple(module_row(entry) for entry in self._index.root()["modules"])
        if not is_safe_component(module_id):
            return ()
        index = self._index.module(module_id)
        return () if index is None else version_rows(index)

    def fetch(
        self,
        module_id: str,
        *,
        version: str,
        to: BinaryIO | None = None,
        role: FileRole | None = None,
        progress: Progress = no_progress,
    ) -> Release:
        """See ``Repository.fetch``."""
        self._require_folder(self._root)
        release = None
        if is_safe_component(module_id) and is_safe_component(version):
            release = read_release(self._modules, module_id, version)
        if release is None:
            raise NotInRepository(
                f"{module_id!a} has no published version {version!a} in {self._root}",
                hint="see what there is with `ign-deploy list-modules`.",
            )
        if to is not None:
            file = release.required_file(role)
            refuse_removed(release, documents=self._documents, reporter=self._reporter)
            copy_out(self._folder(release) / file.name, to, expected=file, progress=progress)
        return release

    @property
    def maintenance(self) -> DirectoryRepository:
        """See ``Repository.upkeep``; a folder takes care of itself."""
        return self

    @property
    def documents(self) -> DirectoryDocuments:
        """See ``Maintenance.documents``."""
        return self._documents

    def refresh(self, module_id: str) -> None:
        """See ``Maintenance.refresh``."""
        self._index.update(module_id)

    def reindex(self) -> Reindexed:
        """See ``Maintenance.reindex``."""
        self._require_folder(self._root)
        return self._index.rebuild()

    def discard(self, release: Release) -> None:
        """See ``Maintenance.discard``."""
        folder = self._folder(release)
        for file in release.files:
            with explained("remove", folder / file.name), suppress(FileNotFoundError):
                (folder / file.name).unlink()

    def _folder(self, release: Release) -> Path:
        return self._modules / release.id / release.version

    def _require_folder(self, folder: Path) -> None:
        with explained("use the repository", self._root):
            try:
                os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            except FileNotFoundError as cause:
                if folder != self._root:
                    raise
                raise NotInRepository(
                    f"there is no repository at {folder}",
                    hint="publish a module first, or check --repository-url.",
                ) from cause

    def _make_root(self) -> None:
        with explained("write to the repository", self._root):
            make_folder(self._root)
            make_folder(self._modules)

    def _settled(self, release: Release) -> Publication | None:
        """Return the publication if the version is there with the same module.

        Raises VersionConflict when it is there with another one; None when it isn't there.
        """
        self._refuse_other_case(self._modules, release.id)
        self._refuse_other_case(self._modules / release.id, release.version)
        present = read_release(self._modules, release.id, release.version)
        if present is None:
            return None
        require_same(present, release, documents=self._documents, reporter=self._reporter)
        return self._publication(Outcome.ALREADY_PUBLISHED, present)

    def _publication(self, outcome: Outcome, release: Release) -> Publication:
        return Publication(outcome, release, str(self._folder(release).absolute()))

    def _refuse_other_case(self, folder: Path, name: str) -> None:
        # On every file system, so that the repository can be copied to one that ignores case.
        if os.path.lexists(folder) and is_real_folder(folder):
            lowered = name.lower()
            with explained("list", folder, hints=READING):
                names = os.listdir(folder)
            for other in names:
                if other.lower() == lowered and other != name:
                    raise RepositoryError(
                        f"{folder} has {other}, which differs from {name} only in letter case",
                        hint=f"write it as {other}, or choose a name that differs in more.",
                    )

    def _show(self, release: Release, area: Staging) -> Publication:
        """Rename the staged version into place, or settle with who was first."""
        target = self._folder(release)
        with explained("write to the repository", self._root):
            make_folder(target.parent)
        cause = self._rename(area, target)
        if cause is None:
            return self._publication(Outcome.PUBLISHED, release)
        # Also after other errors: a share can lose the acknowledgement of a rename that was done.
        if (publication := self._settled(release)) is not None:
            return publication
        if cause.errno not in _TAKEN:
            raise store_error("publish to", target, cause) from cause
        self._set_aside(target, now=area.now)
        if (cause := self._rename(area, target)) is None:
            return self._publication(Outcome.PUBLISHED, release)
        if (publication := self._settled(release)) is not None:
            return publication
        raise store_error("publish to", target, cause) from cause

    def _rename(self, area: Staging, target: Path) -> OSError | None:
        try:
            area.version.rename(target)
        except OSError as cause:
            return cause
        with suppress(OSError):
            sync_folder(target.parent)
            sync_folder(self._modules)
        return None

    def _set_aside(self, target: Path, *, now: float) -> None:
        """Move a folder without a record away, once nobody has touched it for a day."""
        with (
            explained("take over", target),
            locked(self._root / LOCK_NAME),
        ):
            # Another run may have done so meanwhile, and have published: then there is a record.
            if not target.exists() or (target / RECORD_NAME).exists():
                return
            if now - newest_change(target) < LEFTOVER_AGE:
                raise RepositoryError(
                    f"{target} holds files but no {RECORD_NAME}: another tool is publishing there, "
                    "or left it unfinished",
                    hint="wait for the other tool, or remove the folder if nothing writes to it.",
                )
            aside = self._root / SET_ASIDE_NAME
            make_folder(aside)
            place = aside / f"{secrets.token_hex(4)}-{target.name}"
            target.rename(place)
        self._reporter.warning(
            f"{target} held files but no {RECORD_NAME} for a day; it was moved to {place}"
        )

    def _update_indexes(self, module_id: str, *, outcome: Outcome) -> None:
        try:
            # What is there already may stem from a run that was killed before it got here.
            if outcome is Outcome.PUBLISHED or not self._index.is_current(module_id):
                self._index.update(module_id)
        except IgnDeployError as problem:
            # The records are the truth: readers find the version without its line in an index.
            self._reporter.warning(
                f"the version is published, but its index isn't up to date: {problem.message}"
            )


def _obstacle_to_writing(folder: Path) -> str:
    probe = folder / f".probe-{secrets.token_hex(6)}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as cause:
        return f"cannot write to {folder}: {os_error_reason(cause)}"
    return ""
