"""Published versions on GitHub: each is a release, whose record is one of its files.

Its tag is ``modl/<id>/<version>``. The prefix keeps our tags apart from a project's own
(``v1.2.0``, ``mcp/v1.2.0``), and from the patterns that its workflows listen to: ``v*`` doesn't
match a slash.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.report import Progress
from ign_deploy.repositories.backends.github.api import (
    BINARY,
    MAX_RELEASE,
    REFS,
    RELEASE,
    UPLOADED,
    Asset,
    GitHubApi,
    GitHubRelease,
    encoded,
    github_error,
    github_reason,
)
from ign_deploy.repositories.backends.github.rights import ReadAccess
from ign_deploy.repositories.record import (
    MAX_RECORD_SIZE,
    RECORD_NAME,
    Release,
    ReleaseFile,
    is_safe_component,
)
from ign_deploy.repositories.store import Key

PREFIX = "modl/"
# A ref is a file in many places: with refs/tags/ and .lock it must stay below 255 characters.
_LONGEST = 230
# Git refuses a part that ends so (git-check-ref-format); "=" is in no id and no version.
_REFUSED_END = ".lock"
_MARK = "="
_VISIBLE_WITHIN = 30.0


class OwnReleases:
    """What this run has published: GitHub stated the digest of its record, or shows it soon.

    ``assets`` are the files of all releases that were read or published.
    """

    def __init__(self) -> None:
        self.assets: dict[Key, tuple[Asset, ...]] = {}
        self._records: dict[Key, bytes] = {}
        self._expected: set[Key] = set()

    def note(self, key: Key, release: GitHubRelease | None, record: bytes) -> None:
        """Note a version that is published now; by another run, if ``release`` is None."""
        self._expected.add(key)
        asset = None if release is None else _named(release.assets, RECORD_NAME)
        if release is not None and asset and asset.digest == f"sha256:{_sha256(record)}":
            self.assets[key] = release.assets
            self._records[key] = record

    def record(self, key: Key) -> bytes | None:
        """Return the record that GitHub is known to have."""
        return self._records.get(key)

    def is_expected(self, key: Key) -> bool:
        """Return whether the version is published, though some servers may not know it yet."""
        return key in self._expected


class GitHubVersions:
    """See ``store.VersionStore``; ``drop_drafts`` deletes our drafts of a published version."""

    def __init__(
        self,
        api: GitHubApi,
        access: ReadAccess,
        *,
        own: OwnReleases,
        drop_drafts: Callable[[Key], None],
    ) -> None:
        self._api = api
        self._access = access
        self._own = own
        self._drop_drafts = drop_drafts

    def read_record(self, key: Key) -> bytes | None:
        """See ``VersionStore.read_record``."""
        if (own := self._own.record(key)) is not None:
            return own
        release = self._release(key)
        if release is None:
            return None
        asset = _named(release.assets, RECORD_NAME)
        if asset is None:
            raise RepositoryError(
                f"the tag {tag_of(key)} has a release without {RECORD_NAME}, so ign-deploy didn't "
                "make it, or the file was deleted",
                hint="if it isn't a module's, delete that release and its tag; else restore the "
                "file from a backup.",
            )
        response = self._api.request(
            "GET", f"releases/assets/{asset.id}", title=f"reading the record of {tag_of(key)}",
            headers=BINARY, limit=MAX_RECORD_SIZE + 1,
        )  # fmt: skip
        self._own.assets[key] = release.assets
        self._drop_drafts(key)
        return response.body

    def copy_file(self, key: Key, file: ReleaseFile, *, to: BinaryIO, progress: Progress) -> None:
        """See ``VersionStore.copy_file``."""
        assets = self._own.assets
        if key not in assets:
            release = self._release(key)
            assets[key] = () if release is None else release.assets
        asset = _named(assets[key], file.name)
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
        path = f"git/matching-refs/{encoded(f'tags/{wanted}', safe='/')}"
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
                    is_immutable = "immutable" in github_reason(deleted)
                    raise _immutable(key) if is_immutable else github_error(deleted)
        self._own.assets.pop(key, None)

    def _release(self, key: Key) -> GitHubRelease | None:
        """Return the version's release; never a draft, which has no tag yet.

        One that this run has published is waited for: not every server may know of it yet.
        """
        tag = tag_of(key)
        end, wait = time.monotonic() + _VISIBLE_WITHIN, 0.1
        while True:
            response = self._api.request(
                "GET", f"releases/tags/{encoded(tag)}", title=f"reading the release {tag}",
                limit=MAX_RELEASE, expect={404},
            )  # fmt: skip
            is_late = time.monotonic() > end or not self._own.is_expected(key)
            if response.ok or is_late:
                break
            time.sleep(wait)
            wait = min(2 * wait, 2.0)
        if not response.ok:
            self._access.require_readable()
            return None
        release = response.parse(RELEASE)
        return None if release.draft else release


def _named(assets: tuple[Asset, ...], name: str) -> Asset | None:
    whole = (asset for asset in assets if asset.state == UPLOADED)
    return next((asset for asset in whole if asset.name == name), None)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _immutable(key: Key) -> RepositoryError:
    return RepositoryError(
        f"the release {tag_of(key)} is immutable: GitHub keeps its files as they are",
        hint="leave it yanked; where the files must go, delete the whole release on GitHub.",
    )


def tag_of(key: Key) -> str:
    """Return the version's tag, which is a valid ref for every safe id and version.

    Raises RepositoryError when it would be longer than a ref can be.
    """
    tag = PREFIX + "/".join(_part(text) for text in key)
    if len(tag) > _LONGEST:
        raise RepositoryError(
            f"the id and version {key.id[:60]}… {key.version[:60]} make a tag of {len(tag)} "
            f"characters; at most {_LONGEST} fit into a Git repository",
            hint="shorten the module's version or id, or use another kind of repository.",
        )
    return tag


def key_of(tag: str) -> Key | None:
    """Return the version of a tag; None for a tag that isn't ours."""
    parts = tag.removeprefix(PREFIX).split("/") if tag.startswith(PREFIX) else []
    if len(parts) != 2:
        return None
    key = Key(*(part.removesuffix(_MARK) for part in parts))
    if len(tag) > _LONGEST or not all(is_safe_component(text) for text in key):
        return None
    return key if tag_of(key) == tag else None


def module_prefix(module_id: str) -> str:
    """Return what the tags of a module's versions begin with."""
    return f"{PREFIX}{_part(module_id)}/"


def _part(text: str) -> str:
    return text + _MARK if text.endswith(_REFUSED_END) else text
