"""What a simulated repository holds: releases, their files, and Git objects."""

from __future__ import annotations

import hashlib
import itertools
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

_NUMBERS = itertools.count(1)
_BAD_REF = re.compile(r"\.\.|[\x00-\x20~^:?*\[\\\x7f]|@\{|//|/$|\.$|^/|^-")
MAX_BODY = 125_000


class Refused(Exception):
    """An answer that refuses."""

    def __init__(
        self, status: int, message: str, *, errors: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors


@dataclass
class Asset:
    """A file of a release."""

    name: str
    content: bytes
    state: str = "uploaded"
    id: int = field(default_factory=lambda: next(_NUMBERS))


@dataclass
class SimulatedRelease:
    """A release; ``visible_at`` is when reading by tag begins to show it."""

    tag: str
    name: str
    body: str
    draft: bool
    prerelease: bool
    target: str
    make_latest: str = ""
    immutable: bool = False
    visible_at: float = 0.0
    id: int = field(default_factory=lambda: next(_NUMBERS))
    assets: list[Asset] = field(default_factory=list)


@dataclass
class Commit:
    """A commit; ``files`` is its whole tree."""

    files: dict[str, bytes]
    parents: tuple[str, ...]
    message: str


@dataclass
class SimulatedRepository:
    """One repository.

    ``lag``: seconds until a published release is seen by its tag. ``race``: seconds between reading
    a branch and moving it, for conflicts. ``immutable`` makes releases immutable when they are
    published. ``digests``: whether those of files are stated, which older servers don't.
    ``streams``: files come from the API itself, not by a redirect; GitHub does either.
    ``former_name`` is what it was called before. ``protection`` of all branches but main:
    ``classic`` or ``ruleset``. ``workflows``: whether the token may change workflows.
    ``graphql``: whether that API can be reached, too.
    """

    full_name: str
    private: bool = True
    archived: bool = False
    empty: bool = False
    immutable: bool = False
    streams: bool = False
    former_name: str = ""
    protection: str = ""
    workflows: bool = True
    graphql: bool = True
    digests: bool = True
    lag: float = 0.0
    race: float = 0.0
    listing_limit: int = 1000
    releases: dict[int, SimulatedRelease] = field(default_factory=dict)
    burned: set[str] = field(default_factory=set)
    trees: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        if not self.empty:
            commit = self.add_commit({"README.md": b"# modules\n"}, (), "first")
            self.refs["refs/heads/main"] = commit

    # Releases

    def create_release(self, wanted: dict[str, Any]) -> SimulatedRelease:
        """Make a draft or a published release."""
        release = SimulatedRelease(
            tag=wanted["tag_name"],
            name=wanted.get("name") or wanted["tag_name"],
            body=wanted.get("body") or "",
            draft=wanted.get("draft", False),
            prerelease=wanted.get("prerelease", False),
            target=wanted.get("target_commitish", "main"),
        )
        if len(release.body) > MAX_BODY:
            raise invalid("Release", "custom", "body", "body is too long (maximum is 125000)")
        with self.lock:
            if not release.draft:
                self._publish(release, wanted)
            self.releases[release.id] = release
        return release

    def change_release(self, number: int, wanted: dict[str, Any]) -> SimulatedRelease:
        """Change a release; publishing is the change of ``draft`` to False."""
        with self.lock:
            release = self.release(number)
            if release.draft and wanted.get("draft") is False:
                self._publish(release, wanted)
            for name in ("name", "body", "prerelease"):
                setattr(release, name, wanted.get(name, getattr(release, name)))
        return release

    def release(self, number: int) -> SimulatedRelease:
        """Return a release, a draft too."""
        if (release := self.releases.get(number)) is None:
            raise not_found()
        return release

    def release_by_tag(self, tag: str) -> SimulatedRelease:
        """Return a published release; drafts are never found by their tag."""
        for release in list(self.releases.values()):
            if release.tag == tag and not release.draft and time.monotonic() >= release.visible_at:
                return release
        raise not_found()

    def delete_release(self, number: int) -> None:
        """Delete a release with its files; its tag stays."""
        with self.lock:
            release = self.release(number)
            if release.immutable:
                self.burned.add(release.tag)
            del self.releases[number]

    def add_asset(
        self, number: int, name: str, content: bytes, *, state: str = "uploaded"
    ) -> Asset:
        """Add a file to a release."""
        with self.lock:
            release = self.release(number)
            if release.immutable:
                raise Refused(422, "Cannot upload assets to an immutable release.")
            if any(asset.name == name for asset in release.assets):
                raise invalid("ReleaseAsset", "already_exists", "name")
            if not content and state == "uploaded":
                raise Refused(422, "Validation Failed: size must be at least 1")
            asset = Asset(re.sub(r"[^A-Za-z0-9._+-]", ".", name), content, state)
            release.assets.append(asset)
        return asset

    def asset(self, number: int) -> tuple[SimulatedRelease, Asset]:
        """Return a file and its release."""
        for release in list(self.releases.values()):
            for asset in list(release.assets):
                if asset.id == number:
                    return release, asset
        raise not_found()

    def delete_asset(self, number: int) -> None:
        """Delete a file."""
        with self.lock:
            release, asset = self.asset(number)
            if release.immutable:
                raise Refused(422, "Cannot delete assets from an immutable release.")
            release.assets.remove(asset)

    def _publish(self, release: SimulatedRelease, wanted: dict[str, Any]) -> None:
        if self.empty:
            raise invalid("Release", "custom", "tag_name", "Repository is empty.")
        require_ref(f"refs/tags/{release.tag}")
        if any(each.tag == release.tag and not each.draft for each in self.releases.values()):
            raise invalid("Release", "already_exists", "tag_name")
        if release.tag in self.burned:
            message = "tag_name was used by an immutable release"
            raise invalid("Release", "custom", "tag_name", message)
        prerelease = wanted.get("prerelease", release.prerelease)
        if prerelease and wanted.get("make_latest", "true") == "true" and "make_latest" in wanted:
            raise invalid("Release", "custom", "make_latest", "prereleases can't be latest")
        target = wanted.get("target_commitish", release.target)
        commit = self.refs.get(f"refs/heads/{target}", target)
        if commit not in self.commits:
            raise invalid("Release", "invalid", "target_commitish")
        self._require_workflows(commit)
        self.refs.setdefault(f"refs/tags/{release.tag}", commit)
        release.make_latest = wanted.get("make_latest", "true")
        release.immutable = self.immutable
        release.visible_at = time.monotonic() + self.lag
        release.draft = False

    def _require_workflows(self, commit: str) -> None:
        """Refuse to tag a commit with workflows of its own that no reference points at."""
        main = self.refs["refs/heads/main"]
        differs = workflows_of(self.commits[commit]) != workflows_of(self.commits[main])
        if differs and not self.workflows and commit not in self.refs.values():
            raise Refused(403, "Resource not accessible by integration")

    # Git

    def add_commit(self, files: dict[str, bytes], parents: tuple[str, ...], message: str) -> str:
        """Make a commit; no two are the same."""
        sha = hashlib.sha1(secrets.token_bytes(20)).hexdigest()
        self.commits[sha] = Commit(files, parents, message)
        return sha

    def add_tree(self, entries: list[dict[str, Any]]) -> str:
        """Make a tree of files given by their text."""
        self.require_history()
        files = {entry["path"]: entry["content"].encode() for entry in entries}
        sha = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.trees[sha] = files
        return sha

    def commit_tree(self, wanted: dict[str, Any]) -> str:
        """Make a commit of a tree that was made."""
        self.require_history()
        if wanted["tree"] not in self.trees:
            raise Refused(422, "Tree SHA does not exist")
        parents = tuple(wanted.get("parents", ()))
        if any(parent not in self.commits for parent in parents):
            raise Refused(422, "Parent SHA does not exist or is not a commit object")
        return self.add_commit(dict(self.trees[wanted["tree"]]), parents, wanted["message"])

    def create_ref(self, ref: str, sha: str) -> None:
        """Make a reference; of several writers one succeeds."""
        require_ref(ref)
        with self.lock:
            if ref in self.refs:
                raise Refused(422, "Reference already exists")
            if self.protection == "ruleset":
                raise Refused(422, "Reference update failed")
            if sha not in self.commits:
                raise Refused(422, "Object does not exist")
            self.refs[ref] = sha

    def files(self, branch: str) -> dict[str, bytes]:
        """Return all files of a branch."""
        head = self.refs.get(f"refs/heads/{branch}")
        if head is None:
            raise Refused(404, f"No commit found for the ref {branch}")
        return self.commits[head].files

    def put_file(self, path: str, wanted: dict[str, Any], content: bytes) -> tuple[str, bool]:
        """Write a file as a commit; return it and whether the file is new."""
        ref = f"refs/heads/{wanted.get('branch', 'main')}"
        head = self.refs.get(ref)
        if head is None:
            raise Refused(404, f"Branch {wanted.get('branch')} not found")
        if self.protection == "classic":
            must = "Changes must be made through a pull request."
            raise Refused(409, f"Could not create file: {must}")
        if self.protection == "ruleset":
            must = "Changes must be made through a pull request."
            raise Refused(409, f"Repository rule violations found\n\n{must}\n\n")
        time.sleep(self.race)
        old = self.commits[head].files.get(path)
        given = wanted.get("sha")
        if old is not None and given is None:
            raise Refused(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
        if old is not None and given != blob_sha(old):
            raise Refused(409, f"{path} does not match {given}")
        with self.lock:
            if self.refs[ref] != head:
                raise Refused(409, f"is at {self.refs[ref]} but expected {head}")
            files = {**self.commits[head].files, path: content}
            self.refs[ref] = self.add_commit(files, (head,), wanted["message"])
            return self.refs[ref], old is None

    def require_history(self) -> None:
        """Refuse what needs a commit, as long as there is none."""
        if self.empty:
            raise Refused(409, "Git Repository is empty.")


def workflows_of(commit: Commit) -> dict[str, bytes]:
    """Return the workflows that a commit has."""
    folder = ".github/workflows/"
    return {path: text for path, text in commit.files.items() if path.startswith(folder)}


def blob_sha(content: bytes) -> str:
    """Return Git's hash of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def require_ref(ref: str) -> None:
    """Refuse what git-check-ref-format refuses."""
    parts = ref.split("/")
    bad = any(part.startswith(".") or part.endswith(".lock") or not part for part in parts)
    if bad or _BAD_REF.search(ref) or len(ref) > 255 or len(parts) < 3:
        raise invalid("Release", "custom", "tag_name", "tag_name is not a valid tag")


def invalid(resource: str, code: str, name: str, message: str = "") -> Refused:
    """Return GitHub's error for a field."""
    error = {"resource": resource, "code": code, "field": name}
    return Refused(
        422, "Validation Failed", errors=[{**error, "message": message} if message else error]
    )


def not_found() -> Refused:
    """Return GitHub's error for what isn't there, or isn't shown."""
    return Refused(404, "Not Found")


def level_of(files: dict[str, bytes]) -> tuple[dict[str, bytes], dict[str, dict[str, bytes]]]:
    """Return the files directly in a folder, and its folders with all they hold."""
    direct: dict[str, bytes] = {}
    folders: dict[str, dict[str, bytes]] = {}
    for path, content in files.items():
        head, slash, tail = path.partition("/")
        if slash:
            folders.setdefault(head, {})[tail] = content
        else:
            direct[head] = content
    return direct, folders
