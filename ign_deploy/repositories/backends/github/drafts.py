"""Drafts: releases that only those with write access see, filled with files, then published.

Publishing is one request, and GitHub refuses it when the tag has a published release already. So
the record and all files are there at once, and of several drafts of a version one is published.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.net.retry import QUICK
from ign_deploy.net.upload import UploadSource
from ign_deploy.report import Progress, no_progress
from ign_deploy.repositories.backends.github.api import (
    ASSET,
    ASSETS,
    MAX_RELEASE,
    RELEASE,
    RELEASES,
    Asset,
    GitHubApi,
    GitHubRelease,
    github_error,
    github_reason,
    is_rule,
)
from ign_deploy.repositories.backends.github.release_text import (
    DraftMark,
    mark_of,
    text_of,
    title_of,
)
from ign_deploy.repositories.record import RECORD_NAME, Release, ReleaseFile
from ign_deploy.repositories.versions import is_final

MAX_ASSET_SIZE = (2 << 30) - 1
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TRIES = 4
# How long a run may need to publish its draft: an hour, and 10 s more for each MB.
_HOLDS = 3600.0
_SLOWEST = 100_000.0
# Between the last moment at which a run may publish its draft, and the first to delete it.
_MARGIN = timedelta(minutes=15)
# Of the newest releases: leftovers are looked for among so many.
_SWEPT = 300


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft of this run; ``uploads`` is where its files are sent to.

    ``commit`` is to be tagged if the repository has it; ``until`` is when publishing must have
    begun.
    """

    id: int
    tag: str
    uploads: str
    commit: str
    until: datetime


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that is to be in the draft."""

    name: str
    size: int
    sha256: str
    source: UploadSource | bytes


class Drafts:
    """The drafts that this run makes, fills, and publishes or deletes; never those of others."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api
        self._commits_elsewhere: set[str] = set()

    def begin(self, release: Release, *, tag: str) -> Draft:
        """Create a draft; one whose acknowledgement got lost is found again, not made twice."""
        size = sum(file.size for file in release.files)
        until = self._api.now() + timedelta(seconds=_HOLDS + size / _SLOWEST)
        mark = DraftMark(secrets.token_hex(16), until)
        document = {
            "tag_name": tag,
            "name": title_of(release),
            "body": text_of(release, mark=mark),
            "draft": True,
            "prerelease": not is_final(release.version),
        }
        lost: list[GitHubRelease] = []

        def arrived() -> bool:
            for each in self._listed():
                found = mark_of(each.body)
                if each.draft and found is not None and found.run == mark.run:
                    lost.append(each)
            return bool(lost)

        created = self._api.request(
            "POST", "releases", json=document, confirm=arrived,
            title=f"creating a draft of {release.id} {release.version}",
        )  # fmt: skip
        made = lost[0] if created.confirmed else created.parse(RELEASE)
        is_here = _COMMIT.fullmatch(release.commit) and not self._api.is_job_elsewhere
        commit = release.commit if is_here else ""
        return Draft(made.id, tag, made.upload_url.partition("{")[0], commit, until)

    def fill(self, draft: Draft, file: ReleaseFile, *, path: Path, progress: Progress) -> None:
        """Upload a file of the version, compared with its record."""
        if file.size > MAX_ASSET_SIZE:
            raise RepositoryError(
                f"{file.name} has {file.size} bytes; GitHub accepts less than 2 GiB per file",
                hint="use another kind of repository for it.",
            )
        source = UploadSource(path, file.size, file.sha256)
        self._upload(draft, _Wanted(file.name, file.size, file.sha256, source), progress=progress)

    def add_record(self, draft: Draft, record: bytes) -> None:
        """Upload the record, the last file."""
        digest = sha256(record).hexdigest()
        self._upload(draft, _Wanted(RECORD_NAME, len(record), digest, record), progress=no_progress)

    def publish(self, draft: Draft) -> GitHubRelease | None:
        """Publish; return the release as GitHub states it, None if another run has published.

        Raises RepositoryError when GitHub refuses, or when the run was suspended for too long.
        """
        if self._api.now() > draft.until:
            raise RepositoryError(
                f"publishing {draft.tag} took until after {draft.until:%H:%M} UTC, so another run "
                "may have deleted its draft",
                hint="run again; nothing was published.",
            )
        commit = "" if draft.commit in self._commits_elsewhere else draft.commit
        sent, made = self._publish(draft, commit=commit)
        if commit and _may_be_the_commit(sent):
            refused = sent
            sent, made = self._publish(draft, commit="")
            if sent.ok:
                self._note_commit(draft, refused)
        if sent.ok:
            return made
        problem, reason = github_error(sent), github_reason(sent)
        if not is_rule(sent) and ("already_exists" in reason or "already exists" in reason):
            self.drop(draft)
            return None
        if "immutable release" in reason:
            problem.hint = (
                "raise the module's version: the tag of a deleted immutable release can't be used "
                "again."
            )
        raise problem

    def drop(self, draft: Draft) -> None:
        """Delete a draft of ours that is no longer needed; failing to do so is not an error."""
        with suppress(IgnDeployError):
            self._delete_draft(draft.id, tag=draft.tag)

    def sweep(self, tag: str) -> None:
        """Delete what runs that ended early left of a version; failing to do so is not an error.

        Only drafts with our mark, whose runs could no longer publish them.
        """
        with suppress(IgnDeployError):
            for found in islice(self._listed(), _SWEPT):
                mark = mark_of(found.body)
                if not found.draft or found.tag_name != tag or mark is None:
                    continue
                if self._api.now() > mark.until + _MARGIN:
                    self._delete_draft(found.id, tag=tag)
                    self._api.reporter.info(f"deleted a draft of {tag} that an earlier run left")

    def _publish(self, draft: Draft, *, commit: str) -> tuple[Response, GitHubRelease | None]:
        """Make the request that publishes; the release is None unless that is done."""
        # Never "latest": that stays what the project itself calls so.
        wanted = {"draft": False, "make_latest": "false"}
        found: list[GitHubRelease] = []

        def is_published() -> bool:
            release = self._release(draft.id, tag=draft.tag)
            found.extend([release] if release is not None and not release.draft else [])
            return bool(found)

        sent = self._api.request(
            "PATCH",
            f"releases/{draft.id}",
            json={**wanted, "target_commitish": commit} if commit else wanted,
            title=f"publishing {draft.tag}",
            confirm=is_published,
            expect={403, 404, 422},
            limit=MAX_RELEASE,
        )
        if sent.confirmed:
            return sent, found[-1]
        return sent, sent.parse(RELEASE) if sent.ok else None

    def _note_commit(self, draft: Draft, refused: Response) -> None:
        """Note that a commit couldn't be tagged: it is of another repository, or needs a right."""
        if refused.status == 422:
            self._commits_elsewhere.add(draft.commit)
            return
        self._api.reporter.warning(
            f"the tag {draft.tag} points to the default branch, not to the commit "
            f"{draft.commit[:12]}: its workflows differ, and GitHub doesn't let this token tag "
            "such a commit; push a branch or a tag to it before publishing"
        )

    def _delete_draft(self, number: int, *, tag: str) -> None:
        release = self._release(number, tag=tag)
        if release is not None and release.draft:
            title = f"deleting the draft of {tag}"
            self._api.request("DELETE", f"releases/{number}", title=title, retry=QUICK)

    def _release(self, number: int, *, tag: str) -> GitHubRelease | None:
        found = self._api.request(
            "GET", f"releases/{number}", title=f"checking the draft of {tag}", limit=MAX_RELEASE,
            expect=ANY_STATUS, retry=QUICK,
        )  # fmt: skip
        return found.parse(RELEASE) if found.ok else None

    def _listed(self) -> Iterator[GitHubRelease]:
        return self._api.entries("releases", RELEASES, title="listing the releases")

    def _upload(self, draft: Draft, wanted: _Wanted, *, progress: Progress) -> None:
        title = f"uploading {wanted.name}"
        url = f"{draft.uploads}?name={quote(wanted.name, safe='')}"
        for _ in range(_TRIES):
            sent = self._api.upload_asset(
                url,
                source=wanted.source,
                title=title,
                progress=progress,
                confirm=lambda: self._has(draft, wanted),
            )
            if sent.confirmed:
                return
            if sent.ok:
                self._compare(draft, wanted, sent.parse(ASSET))
                return
            if "already_exists" not in github_reason(sent):
                break
            # An attempt of ours that failed left it there, whole or not.
            if self._has(draft, wanted):
                progress(wanted.size)
                return
        raise github_error(sent)

    def _has(self, draft: Draft, wanted: _Wanted) -> bool:
        """Return whether the draft has the file; delete what an upload that broke left of it."""
        title = f"listing the files of the draft of {draft.tag}"
        for asset in self._api.entries(f"releases/{draft.id}/assets", ASSETS, title=title):
            if asset.name == wanted.name:
                if asset.holds(size=wanted.size, sha256=wanted.sha256):
                    return True
                self._delete(asset)
        return False

    def _compare(self, draft: Draft, wanted: _Wanted, asset: Asset) -> None:
        if asset.name == wanted.name and asset.holds(size=wanted.size, sha256=wanted.sha256):
            return
        if not self._has(draft, wanted):
            raise RepositoryError(
                f"GitHub has {asset.size} bytes with {asset.digest or 'no digest'} as "
                f"{asset.name[:100]!r}, expected {wanted.size} bytes with SHA-256 "
                f"{wanted.sha256} as {wanted.name}",
                hint="run again; nothing was published.",
            )

    def _delete(self, asset: Asset) -> None:
        title = f"deleting the incomplete file {asset.name[:100]!r}"
        self._api.request("DELETE", f"releases/assets/{asset.id}", title=title, expect={404})


def _may_be_the_commit(sent: Response) -> bool:
    """Return whether publishing may have been refused for the commit that is to be tagged."""
    if is_rule(sent):
        return False
    return sent.status in {403, 404} or "target_commitish" in github_reason(sent)
