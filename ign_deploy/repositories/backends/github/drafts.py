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
from ign_deploy.net.response import ANY_STATUS, Response
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
from ign_deploy.repositories.record import RECORD_NAME, Release, ReleaseFile
from ign_deploy.repositories.versions import is_final

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
    source: UploadSource | bytes


class Drafts:
    """The drafts that this run makes, fills, and publishes or deletes; never those of others."""

    def __init__(self, api: GitHubApi, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._sleep = sleep

    def begin(self, release: Release, *, tag: str) -> Draft:
        """Create a draft; one whose acknowledgement got lost is found again, not made twice."""
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
        lost: list[GitHubRelease] = []

        def arrived() -> bool:
            lost.extend(
                each
                for each in self._api.entries("releases", RELEASES, title="listing the releases")
                if each.draft and run_of(each.body) == run
            )
            return bool(lost)

        created = self._api.request(
            "POST", "releases", json=document, confirm=arrived,
            title=f"creating a draft of {release.id} {release.version}",
        )  # fmt: skip
        made = lost[0] if created.confirmed else created.parse(RELEASE)
        return Draft(made.id, tag, made.upload_url.partition("{")[0])

    def fill(self, draft: Draft, file: ReleaseFile, *, path: Path, progress: Progress) -> None:
        """Upload a file of the version, compared with its record."""
        if file.size > MAX_ASSET_SIZE:
            raise RepositoryError(
                f"{file.name} has {file.size} bytes; GitHub accepts less than 2 GiB per file",
                hint="use another kind of repository for it.",
            )
        source = UploadSource(path, file.size, file.sha256)
        self._upload(draft, _Wanted(file.name, file.size, file.sha256, source), progress=progress)

    def publish(self, draft: Draft, record: bytes) -> None:
        """Upload the record and publish; no error if the version has been published by now."""
        digest = sha256(record).hexdigest()
        self._upload(draft, _Wanted(RECORD_NAME, len(record), digest, record), progress=no_progress)
        # Never "latest": that stays what the project itself calls so.
        published = self._api.request(
            "PATCH",
            f"releases/{draft.id}",
            json={"draft": False, "make_latest": "false"},
            title=f"publishing {draft.tag}",
            confirm=lambda: self._is_published(draft),
            expect={422},
        )
        if not published.ok:
            problem, reason = github_error(published), github_reason(published)
            if is_rule(published):
                raise problem
            if "already_exists" in reason or "already exists" in reason:
                self.drop(draft)
                return
            if "immutable release" in reason:
                problem.hint = (
                    "raise the module's version: the tag of a deleted immutable release can't be "
                    "used again."
                )
            raise problem
        self._wait_until_visible(draft)

    def drop(self, draft: Draft) -> None:
        """Delete a draft of ours that is no longer needed; failing to do so is not an error."""
        with suppress(IgnDeployError):
            if not self._is_published(draft):
                title = f"deleting the draft of {draft.tag}"
                self._api.request("DELETE", f"releases/{draft.id}", title=title)

    def _has_commit(self, commit: str) -> bool:
        """Return whether the module was built from this repository, whose commit is tagged then."""
        if not _COMMIT.fullmatch(commit):
            return False
        return self._get(f"git/commits/{commit}", title=f"checking the commit {commit}").ok

    def _is_published(self, draft: Draft) -> bool:
        found = self._get(f"releases/{draft.id}", title=f"checking the draft of {draft.tag}")
        return found.ok and not found.parse(RELEASE).draft

    def _get(self, path: str, *, title: str) -> Response:
        return self._api.request("GET", path, title=title, limit=MAX_RELEASE, expect=ANY_STATUS)

    def _wait_until_visible(self, draft: Draft) -> None:
        """Wait for the servers that don't know of it yet; a reader may reach any of them."""
        end = time.monotonic() + _VISIBLE_WITHIN
        wait = 0.1
        path, title = f"releases/tags/{quote(draft.tag, safe='')}", f"checking {draft.tag}"
        while not self._get(path, title=title).ok:
            if time.monotonic() > end:
                return  # reading it back reports it
            self._sleep(wait)
            wait = min(2 * wait, 2.0)

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
                f"{asset.name[:100]!a}, expected {wanted.size} bytes with SHA-256 "
                f"{wanted.sha256} as {wanted.name}",
                hint="run again; nothing was published.",
            )

    def _delete(self, asset: Asset) -> None:
        title = f"deleting the incomplete file {asset.name[:100]!a}"
        self._api.request("DELETE", f"releases/assets/{asset.id}", title=title, expect={404})


_LONGEST_TITLE = 200
# GitHub takes 125,000 characters; the whole notes are in release.json.
_LONGEST_NOTES = 100_000
_LONGEST_CELL = 400
_MENTION = re.compile(r"@(?=[A-Za-z0-9])")
# Renders as @ and an invisible space, which no mention has.
_NO_MENTION = "@&#8203;"
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|>~$:])")
_RUN = re.compile(r"<!-- ign-deploy run ([0-9a-f]{32}) -->")


def title_of(release: Release) -> str:
    """Return ``<name> <version>`` as one line."""
    return f"{_line(release.name)[:_LONGEST_TITLE]} {release.version}".strip()


def text_of(release: Release, *, run: str) -> str:
    """Return the release's text; ``run`` (32 hex digits) is hidden in it, to find it again."""
    rows = [
        ("Module", f"`{release.id}`"),
        ("SHA-256", f"`{release.module_file.sha256}`"),
        ("Signed by", _cell(release.certificate.subject)),
        ("Certificate, SHA-256", f"`{release.certificate.sha256}`"),
        ("Certificate, SHA-1 (as the gateway shows it)", f"`{release.certificate.sha1}`"),
        ("Requires Ignition", _cell(release.required_ignition_version) or "not stated"),
    ]
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    # The notes come last: an unclosed code block in them can't swallow the table.
    return "\n".join([f"<!-- ign-deploy run {run} -->", "", *table, "", _notes(release.notes)])


def run_of(text: str | None) -> str:
    """Return the run that is hidden in a release's text; empty when there is none."""
    match = _RUN.search(text or "")
    return match[1] if match else ""


def _notes(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    safe = _harmless("\n".join(_line(line, kept="\t") for line in lines).strip())
    if len(safe) > _LONGEST_NOTES:
        safe = f"{safe[:_LONGEST_NOTES]}…\n\n(cut off; all of it is in release.json)"
    return safe


def _cell(text: str) -> str:
    """Return an untrusted text as it is, not as Markdown, in one line."""
    line = _line(text)
    shown = line if len(line) <= _LONGEST_CELL else f"{line[:_LONGEST_CELL]}…"
    return _PUNCTUATION.sub(r"\\\1", shown).replace("&", "&amp;").replace(
        "<", "&lt;"
    ).replace("@", _NO_MENTION)  # fmt: skip


def _harmless(text: str) -> str:
    # An ampersand first, or "&lt;" of the notes would become "<" again.
    safe = text.replace("&", "&amp;").replace("<", "&lt;")
    return _MENTION.sub(_NO_MENTION, safe)


def _line(text: str, *, kept: str = "") -> str:
    return "".join(char if char.isprintable() or char in kept else " " for char in text)
