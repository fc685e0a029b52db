"""Drafts: releases that only those with write access see, filled with files, then published.

Publishing is one request, and GitHub refuses it when the tag has a published release already. So
the record and all files are there at once, and of several drafts of a version one is published.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.net.sending import Sent, Source
from ign_deploy.report import Progress
from ign_deploy.repositories import no_progress
from ign_deploy.repositories.backends.github.api import Api
from ign_deploy.repositories.backends.github.release_text import run_of, text_of, title_of
from ign_deploy.repositories.backends.github.schema import (
    ASSET,
    ASSETS,
    RELEASE,
    RELEASES,
    AssetAnswer,
    ReleaseAnswer,
    is_rule,
    parse,
    refusal,
    words,
)
from ign_deploy.repositories.ordering import is_final
from ign_deploy.repositories.record import RECORD_NAME, Release, ReleaseFile

MAX_ASSET_SIZE = (2 << 30) - 1
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TRIES = 4
_VISIBLE_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft of this run; ``uploads`` is where its files are sent to."""

    id: int
    tag: str
    uploads: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that is to be in the draft."""

    name: str
    size: int
    sha256: str
    source: Source | bytes


class Drafts:
    """The drafts that this run makes, fills, and publishes or deletes; never those of others."""

    def __init__(self, api: Api, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._sleep = sleep

    def begin(self, release: Release, *, tag: str) -> Draft:
        """Make a draft; one whose acknowledgement got lost is found again, not made twice."""
        run = secrets.token_hex(16)
        document = {
            "tag_name": tag,
            "name": title_of(release),
            "body": text_of(release, run=run),
            "draft": True,
            "prerelease": not is_final(release.version),
        }
        if self._has_commit(release.commit):
            document["target_commitish"] = release.commit
        lost: list[ReleaseAnswer] = []

        def settle() -> bool:
            lost.extend(each for each in self._all() if each.draft and run_of(each.body) == run)
            return bool(lost)

        title = f"making a draft of {release.id} {release.version}"
        sent = self._api.send("POST", "releases", document=document, title=title, settle=settle)
        if not sent.accepted:
            raise refusal(sent.status, sent.body, doing=title)
        made = lost[0] if sent.settled else parse(RELEASE, sent.body, location="the draft")
        return Draft(made.id, tag, made.upload_url.partition("{")[0])

    def fill(self, draft: Draft, file: ReleaseFile, *, path: Path, progress: Progress) -> None:
        """Upload a file of the version, compared with its record."""
        if file.size > MAX_ASSET_SIZE:
            raise RepositoryError(
                f"{file.name} has {file.size} bytes; GitHub takes less than 2 GiB for one file",
                hint="use another kind of repository for it.",
            )
        source = Source(path, file.size, file.sha256)
        self._upload(draft, _Wanted(file.name, file.size, file.sha256, source), progress=progress)

    def publish(self, draft: Draft, record: bytes) -> None:
        """Upload the record and publish; no error when the version was published meanwhile."""
        digest = sha256(record).hexdigest()
        self._upload(draft, _Wanted(RECORD_NAME, len(record), digest, record), progress=no_progress)
        title = f"publishing {draft.tag}"
        # Never "latest": that stays what the project itself calls so.
        sent = self._api.send(
            "PATCH",
            f"releases/{draft.id}",
            document={"draft": False, "make_latest": "false"},
            title=title,
            settle=lambda: self._is_published(draft),
        )
        if sent.status == 422 and not is_rule(sent.body):
            said = words(sent.body)
            if "already_exists" in said or "already exists" in said:
                self.drop(draft)
                return
            if "immutable release" in said:
                raise RepositoryError(
                    f"GitHub answered 422 when {title}: {said}",
                    hint="raise the module's version: the tag of a deleted immutable release "
                    "can't be used again.",
                )
        if not sent.accepted:
            raise refusal(sent.status, sent.body, doing=title)
        self._wait_until_visible(draft)

    def drop(self, draft: Draft) -> None:
        """Delete a draft of ours that nobody needs any more; that it stays is no error."""
        with suppress(IgnDeployError):
            if not self._is_published(draft):
                title = f"deleting the draft of {draft.tag}"
                self._api.send("DELETE", f"releases/{draft.id}", title=title)

    def _all(self) -> list[ReleaseAnswer]:
        pages = self._api.pages("releases")
        return [each for page in pages for each in parse(RELEASES, page, location="the releases")]

    def _has_commit(self, commit: str) -> bool:
        """Tell whether the module was built from this repository, so that its commit is tagged."""
        if not _COMMIT.fullmatch(commit):
            return False
        return self._api.get(f"git/commits/{commit}").status == 200

    def _is_published(self, draft: Draft) -> bool:
        answer = self._api.get(f"releases/{draft.id}")
        if answer.status != 200:
            return False
        return not parse(RELEASE, answer.body, location="the draft").draft

    def _wait_until_visible(self, draft: Draft) -> None:
        """Wait for the servers that don't know of it yet; a reader may ask any of them."""
        end = time.monotonic() + _VISIBLE_WITHIN
        wait = 0.1
        while self._api.get(f"releases/tags/{quote(draft.tag, safe='')}").status != 200:
            if time.monotonic() > end:
                return  # whoever reads it back says so
            self._sleep(wait)
            wait = min(2 * wait, 2.0)

    def _upload(self, draft: Draft, wanted: _Wanted, *, progress: Progress) -> None:
        title = f"uploading {wanted.name}"
        url = f"{draft.uploads}?name={quote(wanted.name, safe='')}"
        sent = Sent(0)
        for _ in range(_TRIES):
            sent = self._api.upload(
                url,
                source=wanted.source,
                title=title,
                progress=progress,
                settle=lambda: self._has(draft, wanted),
            )
            if sent.settled:
                return
            if sent.accepted:
                self._compare(draft, wanted, parse(ASSET, sent.body, location=wanted.name))
                return
            if sent.status != 422 or "already_exists" not in words(sent.body):
                break
            # An attempt of ours that failed left it there, whole or not.
            if self._has(draft, wanted):
                progress(wanted.size)
                return
        raise refusal(sent.status, sent.body, doing=title)

    def _has(self, draft: Draft, wanted: _Wanted) -> bool:
        """Tell whether the draft has the file; delete what an upload that broke left of it."""
        for page in self._api.pages(f"releases/{draft.id}/assets"):
            for asset in parse(ASSETS, page, location="the draft's files"):
                if asset.name != wanted.name:
                    continue
                if asset.holds(size=wanted.size, sha256=wanted.sha256):
                    return True
                self._delete(asset)
        return False

    def _compare(self, draft: Draft, wanted: _Wanted, asset: AssetAnswer) -> None:
        if asset.name == wanted.name and asset.holds(size=wanted.size, sha256=wanted.sha256):
            return
        if not self._has(draft, wanted):
            raise RepositoryError(
                f"GitHub has {asset.size} bytes with {asset.digest or 'no digest'} as "
                f"{asset.name[:100]!a}; sent were {wanted.size} bytes with SHA-256 "
                f"{wanted.sha256} as {wanted.name}",
                hint="run again; nothing was published.",
            )

    def _delete(self, asset: AssetAnswer) -> None:
        title = f"deleting what is left of {asset.name[:100]!a}"
        sent = self._api.send("DELETE", f"releases/assets/{asset.id}", title=title)
        if not sent.accepted and sent.status != 404:
            raise refusal(sent.status, sent.body, doing=title)
