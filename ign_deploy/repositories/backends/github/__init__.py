"""Modules as releases of a GitHub repository: ``github://owner/repository``.

A version is a release with the tag ``modl/<id>/<version>``; its record is the file
``release.json`` of that release. Other releases of the repository are left alone. Claims and
everything else that is small are files on a branch of its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ign_deploy.errors import IgnDeployError, NetworkError
from ign_deploy.report import Progress
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.github.api import GitHubApi
from ign_deploy.repositories.backends.github.branch import BranchDocuments
from ign_deploy.repositories.backends.github.drafts import Draft, Drafts
from ign_deploy.repositories.backends.github.location import find_github_location
from ign_deploy.repositories.backends.github.rights import ReadAccess
from ign_deploy.repositories.backends.github.versions import GitHubVersions, OwnReleases, tag_of
from ign_deploy.repositories.claims import MAX_CLAIM_SIZE, Claim, claim_bytes, parse_claim
from ign_deploy.repositories.index_guard import NoGuard
from ign_deploy.repositories.publishing import ClaimPublisher
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.store import Key, Store

# GitHub accepts 80 requests a minute that create something.
_UPLOADERS = 3


def open_github(url: str, access: Access) -> Store:
    """Return the store at ``github://owner/repository``; nothing is requested yet.

    Raises ConfigurationError for what isn't such a URL.
    """
    location = find_github_location(url, access=access)
    if location.token:
        access.reporter.mask(location.token)
    api = GitHubApi(location, access=access)
    read_access = ReadAccess(api)
    branch = BranchDocuments(api, require_readable=read_access.require_readable)
    own = OwnReleases()
    claims = GitHubClaims(api, branch, own)
    versions = GitHubVersions(api, read_access, own=own, drop_drafts=claims.drop_drafts)
    return Store(
        versions=versions,
        publisher=ClaimPublisher(versions, claims, access.wait_policy, access.reporter),
        documents=branch,
        address=f"{api.location.web}/{api.location.name}",
        exists=read_access.exists,
        probe=read_access.probe,
        location=lambda key: api.location.release_page(tag_of(key)),
        guard=NoGuard(),
        now=api.now,
        compares=lambda: True,
        read_together=branch.read_together,
    )


class GitHubClaims:
    """See ``claims.ClaimStore``; claims are files on our branch, a version's files in a draft."""

    def __init__(self, api: GitHubApi, branch: BranchDocuments, own: OwnReleases) -> None:
        self._api = api
        self._branch = branch
        self._own = own
        self._drafts = Drafts(api)
        self._slots = threading.BoundedSemaphore(_UPLOADERS)
        self._begun: dict[tuple[Key, str], Draft] = {}

    def now(self) -> datetime:
        """See ``ClaimStore.now``."""
        return self._api.now()

    def claims_unseen(self) -> bool:
        """See ``ClaimStore.claims_unseen``: a claim stays on the branch for good."""
        return True

    def current_claim(self, key: Key) -> Claim | None:
        """See ``ClaimStore.current_claim``."""
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
        """See ``ClaimStore.claim``."""
        path = f"{_claims(key)}/{claim.generation}.json"
        is_ours = self._branch.create(path, claim_bytes(claim))
        if claim.generation == 0 and not is_ours:
            # There was a run of this version before, which may have left its draft.
            self._drafts.sweep(tag_of(key))
        return is_ours

    def put_files(
        self, key: Key, release: Release, *, files: Mapping[str, Path], progress: Progress
    ) -> None:
        """See ``ClaimStore.put_files``: into a draft, which is deleted when it can't be filled."""
        begun = key, _digest(release.to_json())
        if begun in self._begun:
            return  # filled already, under a claim that was lost since
        with self._slots:
            draft = self._drafts.begin(release, tag=tag_of(key))
            with self._dropped_on_failure(draft):
                for file in release.files:
                    self._drafts.fill(draft, file, path=files[file.name], progress=progress)
        self._begun[begun] = draft

    def put_record(
        self,
        key: Key,
        claim: Claim,  # noqa: ARG002 - it stays: deleting it would cost one more commit
        record: bytes,
    ) -> bool:
        """See ``ClaimStore.put_record``."""
        draft = self._begun.pop((key, _digest(record)), None)
        if draft is None:  # the version was found to be published, which is read back next
            return False
        with self._slots:
            with self._dropped_on_failure(draft):
                self._drafts.add_record(draft, record)
            try:
                published = self._drafts.publish(draft)
            except NetworkError:
                raise  # it may yet be published; if not, a later run of the version deletes it
            except IgnDeployError:
                self._drafts.drop(draft)
                raise
        self._own.note(key, published, record)
        return True

    @contextmanager
    def _dropped_on_failure(self, draft: Draft) -> Iterator[None]:
        """Delete a draft that isn't published yet when the run fails or is cancelled."""
        try:
            yield
        except BaseException:
            self._drafts.drop(draft)
            raise

    def drop_drafts(self, key: Key) -> None:
        """Delete our drafts of a version that is published, so they are no longer needed."""
        for begun in [begun for begun in list(self._begun) if begun[0] == key]:
            if (draft := self._begun.pop(begun, None)) is not None:
                self._drafts.drop(draft)


def _claims(key: Key) -> str:
    return f"claims/{key.id}/{key.version}"


def _digest(record: bytes) -> str:
    return hashlib.sha256(record).hexdigest()
