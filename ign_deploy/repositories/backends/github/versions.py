"""Published versions on GitHub: each is a release, whose record is one of its files.

Its tag is ``modl/<id>/<version>``. The prefix keeps our tags apart from a project's own
(``v1.2.0``, ``mcp/v1.2.0``), and from the patterns that its workflows listen to: ``v*`` doesn't
match a slash.
"""

from __future__ import annotations

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


class GitHubVersions:
    """See ``store.VersionStore``; ``drop_drafts`` deletes our drafts of a published version."""

    def __init__(
        self, api: GitHubApi, access: ReadAccess, *, drop_drafts: Callable[[Key], None]
    ) -> None:
        self._api = api
        self._access = access
        self._drop_drafts = drop_drafts
        self._assets: dict[Key, tuple[Asset, ...]] = {}

    def read_record(self, key: Key) -> bytes | None:
        """See ``VersionStore.read_record``."""
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
        self._assets.pop(key, None)

    def _release(self, key: Key) -> GitHubRelease | None:
        """Return the version's release; never a draft, which has no tag yet."""
        tag = tag_of(key)
        response = self._api.request(
            "GET", f"releases/tags/{encoded(tag)}", title=f"reading the release {tag}",
            limit=MAX_RELEASE, expect={404},
        )  # fmt: skip
        if not response.ok:
            self._access.require_readable()
            return None
        release = response.parse(RELEASE)
        return None if release.draft else release


def _named(assets: tuple[Asset, ...], name: str) -> Asset | None:
    whole = (asset for asset in assets if asset.state == UPLOADED)
    return next((asset for asset in whole if asset.name == name), None)


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
