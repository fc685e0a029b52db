"""A GitHub repository as a store: a version is a release, everything small is on a branch."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import IgnDeployError, NetworkError, NotInRepository, RepositoryError
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.github.api import BINARY, GitHubApi, quoted
from ign_deploy.repositories.backends.github.branch import BranchDocuments
from ign_deploy.repositories.backends.github.drafts import Draft, Drafts
from ign_deploy.repositories.backends.github.errors import error_for_response, reason_of
from ign_deploy.repositories.backends.github.rights import find_rights, require_readable
from ign_deploy.repositories.backends.github.schema import (
    MAX_RELEASE,
    REFS,
    RELEASE,
    UPLOADED,
    Asset,
    GitHubRelease,
)
from ign_deploy.repositories.backends.github.tags import PREFIX, key_of, module_prefix, tag_of
from ign_deploy.repositories.claims import MAX_CLAIM_SIZE, claim_bytes, parse_claim
from ign_deploy.repositories.record import MAX_RECORD_SIZE, RECORD_NAME, Release, ReleaseFile
from ign_deploy.repositories.store import Claim, Document, Key

# GitHub takes 80 requests a minute that make something.
_UPLOADERS = 3


class GitHubStore:
    """See ``stores.Store``."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api
        self._branch = BranchDocuments(api)
        self._drafts = Drafts(api)
        self._slots = threading.BoundedSemaphore(_UPLOADERS)
        self._begun: dict[tuple[Key, str], Draft] = {}
        self._assets: dict[Key, tuple[Asset, ...]] = {}
        self._is_readable = False

    def probe(self) -> Capabilities:
        """See ``Store.probe``."""
        capabilities = find_rights(self._api)
        self._is_readable = True
        return capabilities

    def now(self) -> datetime:
        """See ``Store.now``."""
        return self._api.now()

    def location(self, key: Key) -> str:
        """See ``Store.location``."""
        return self._api.location.release_page(tag_of(key))

    # VersionStore

    def read_record(self, key: Key) -> bytes | None:
        """See ``VersionStore.read_record``."""
        release = self._release(key)
        if release is None:
            return None
        asset = _named(release.assets, RECORD_NAME)
        if asset is None:
            raise RepositoryError(
                f"the tag {tag_of(key)} has a release without {RECORD_NAME}, so ign-deploy didn't "
                "make it, or somebody deleted the file",
                hint="if it isn't a module's, delete that release and its tag; else restore the "
                "file from a backup.",
            )
        response = self._api.request(
            "GET", f"releases/assets/{asset.id}", title=f"reading the record of {tag_of(key)}",
            headers=BINARY, limit=MAX_RECORD_SIZE + 1,
        )  # fmt: skip
        self._assets[key] = release.assets
        self._drop_drafts(key)
        return response.body

    def copy_file(self, key: Key, file: ReleaseFile, *, to: BinaryIO, progress: Progress) -> None:
        """See ``VersionStore.copy_file``."""
        if key not in self._assets:
            release = self._release(key)
            self._assets[key] = () if release is None else release.assets
        asset = _named(self._assets[key], file.name)
        if asset is None:
            raise NotInRepository(
                f"the release {tag_of(key)} has no file {file.name}",
                hint="restore it from a backup, or take another version.",
            )
        self._api.download(
            f"releases/assets/{asset.id}", file, to=to, progress=progress, headers=BINARY
        )

    def versions(self, module_id: str | None = None) -> Iterator[Key]:
        """See ``VersionStore.versions``; read off the tags, which come in one answer."""
        wanted = PREFIX if module_id is None else module_prefix(module_id)
        path = f"git/matching-refs/{quoted(f'tags/{wanted}', safe='/')}"
        for found in self._api.entries(path, REFS, title="listing the tags"):
            key = key_of(found.ref.removeprefix("refs/tags/"))
            if key is not None and module_id in {None, key.id}:
                yield key

    def discard(self, key: Key, release: Release) -> None:
        """See ``VersionStore.discard``; an immutable release keeps its files."""
        present = self._release(key)
        if present is None:
            return
        if present.immutable:
            raise _immutable(key)
        names = {file.name for file in release.files}
        for asset in present.assets:
            if asset.name in names:
                deleted = self._api.request(
                    "DELETE", f"releases/assets/{asset.id}", title=f"deleting {asset.name}",
                    expect={404, 422},
                )  # fmt: skip
                if deleted.status == 422:
                    is_immutable = "immutable" in reason_of(deleted)
                    raise _immutable(key) if is_immutable else error_for_response(deleted)
        self._assets.pop(key, None)

    # Publisher

    def current_claim(self, key: Key) -> Claim | None:
        """See ``Publisher.current_claim``."""
        tag_of(key)
        stems = [name.partition(".") for name in self._branch.names(_claims(key))]
        generations = [
            int(stem) for stem, _, end in stems
            if end == "json" and stem.isascii() and stem.isdigit() and len(stem) <= 6
        ]  # fmt: skip
        if not generations:
            return None
        generation = max(generations)
        document = self._branch.read(f"{_claims(key)}/{generation}.json")
        if document is None:
            return Claim("", generation)
        return parse_claim(document.data[: MAX_CLAIM_SIZE + 1], generation=generation)

    def claim(self, key: Key, claim: Claim) -> bool:
        """See ``Publisher.claim``."""
        path = f"{_claims(key)}/{claim.generation}.json"
        return self._branch.create(path, claim_bytes(claim))

    def put_files(
        self, key: Key, release: Release, *, files: Mapping[str, Path], progress: Progress
    ) -> None:
        """See ``Publisher.put_files``: into a draft, which is deleted when it can't be filled."""
        with self._slots:
            draft = self._drafts.begin(release, tag=tag_of(key))
            try:
                for file in release.files:
                    self._drafts.fill(draft, file, path=files[file.name], progress=progress)
            except NetworkError:
                raise  # nothing more can be done there now
            except IgnDeployError:
                self._drafts.drop(draft)
                raise
        self._begun[key, _digest(release.to_json())] = draft

    def put_record(
        self,
        key: Key,
        claim: Claim,  # noqa: ARG002 - it stays: deleting it would cost one more commit
        record: bytes,
    ) -> None:
        """See ``Publisher.put_record``."""
        draft = self._begun.pop((key, _digest(record)), None)
        # None: the version was seen to be published meanwhile, which is read back next.
        if draft is not None:
            with self._slots:
                self._drafts.publish(draft, record)

    # DocumentStore

    def read(self, path: str) -> Document | None:
        """See ``DocumentStore.read``."""
        document = self._branch.read(path)
        if document is None:
            self._require_readable()
        return document

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``DocumentStore.write``."""
        return self._branch.write(path, data, replaces=replaces)

    def add(self, path: str, data: bytes) -> None:
        """See ``DocumentStore.add``."""
        self._branch.add(path, data)

    def names(self, folder: str) -> list[str]:
        """See ``DocumentStore.names``."""
        names = self._branch.names(folder)
        if not names:
            self._require_readable()
        return names

    def _release(self, key: Key) -> GitHubRelease | None:
        """Return the version's release; never a draft, which has no tag yet."""
        tag = tag_of(key)
        response = self._api.request(
            "GET", f"releases/tags/{quoted(tag)}", title=f"reading the release {tag}",
            limit=MAX_RELEASE, expect={404},
        )  # fmt: skip
        if not response.ok:
            self._require_readable()
            return None
        release = response.parse(RELEASE)
        return None if release.draft else release

    def _drop_drafts(self, key: Key) -> None:
        """Delete our drafts of a version that is published, so that nobody needs them any more."""
        for begun in [begun for begun in list(self._begun) if begun[0] == key]:
            if (draft := self._begun.pop(begun, None)) is not None:
                self._drafts.drop(draft)

    def _require_readable(self) -> None:
        """Tell "there is none" from "you may not see it": GitHub answers 404 to both."""
        if not self._is_readable:
            require_readable(self._api)
            self._is_readable = True


def _named(assets: tuple[Asset, ...], name: str) -> Asset | None:
    whole = (asset for asset in assets if asset.state == UPLOADED)
    return next((asset for asset in whole if asset.name == name), None)


def _claims(key: Key) -> str:
    return f"claims/{key.id}/{key.version}"


def _digest(record: bytes) -> str:
    return hashlib.sha256(record).hexdigest()


def _immutable(key: Key) -> RepositoryError:
    return RepositoryError(
        f"the release {tag_of(key)} is immutable: GitHub keeps its files as they are",
        hint="leave it yanked; where the files must go, delete the whole release on GitHub.",
    )
