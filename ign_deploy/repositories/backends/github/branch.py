"""Small files on the branch ``ign-deploy``: indexes, status events, deployments, and claims.

Each is a file in the repository. The contents API takes the old content's blob hash with the new
content, and none for a new file, and refuses when something else is there: that is a
compare-and-swap and a create-once, by Git's own update of the branch. The branch has no history in
common with the others, and its commits start no workflow (``[skip ci]``).
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Mapping, Sequence

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.backends.github.api import (
    BRANCH,
    ENTRIES,
    RAW,
    SHA,
    TREE,
    GitHubApi,
    TreeEntry,
    blob_hash,
    empty_repository,
    encoded,
    github_error,
    github_reason,
    is_empty,
    is_rule,
)
from ign_deploy.repositories.backends.github.graphql import GraphQl
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document

_CREATING = f"creating the branch {BRANCH}"
_README = (
    "# ign-deploy\n\nIndexes, status events and claims for the modules in these releases.\n"
    "Written by ign-deploy; please don't edit or merge this branch.\n"
)
# A listing of a folder ends here, without saying so.
_LONGEST_LISTING = 1000
_MAX_LISTING = 64 << 20
_TRIES = 25
_LONGEST_WAIT = 2.0


class BranchDocuments:
    """See ``store.DocumentStore``; ``create`` is for claims.

    ``require_readable`` raises RepositoryError if nothing is found because it can't be read.
    """

    def __init__(
        self,
        api: GitHubApi,
        *,
        require_readable: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = api
        self._graphql = GraphQl(api)
        self._require_readable = require_readable
        self._sleep = sleep

    def read(self, path: str) -> Document | None:
        """See ``DocumentStore.read``; the tag is the hash that Git gives the content."""
        response = self._api.request(
            "GET", f"contents/{encoded(path, safe='/')}?ref={BRANCH}", title=f"reading {path}",
            headers=RAW, limit=MAX_DOCUMENT_SIZE, expect={404},
        )  # fmt: skip
        if not response.ok:
            self._require_readable()
            return None
        return Document(response.body, blob_hash(response.body))

    def read_together(self, paths: Sequence[str]) -> list[Document | None]:
        """See ``Store.read_together``; what doesn't come so is read by a request of its own."""
        found = self._graphql.files(paths, ref=BRANCH)
        return [self._read_from(found, path) for path in paths]

    def _read_from(self, found: Mapping[str, bytes | None], path: str) -> Document | None:
        if path not in found:
            return self.read(path)
        content = found[path]
        return None if content is None else Document(content, blob_hash(content))

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``DocumentStore.write``."""
        expected = None if replaces is None else replaces.tag or blob_hash(replaces.data)
        return self._put(path, data, expected=expected, ours=False)

    def add(self, path: str, data: bytes) -> None:
        """See ``DocumentStore.add``; raises RepositoryError when another content is there."""
        if not self.create(path, data):
            raise RepositoryError(
                f"{path} is in {self._api.location.name} already, with another content",
                hint=f"look at the branch {BRANCH}; then run again.",
            )

    def create(self, path: str, data: bytes) -> bool:
        """Write a file unless it is there; of several writers with their own bytes one gets True.

        The same bytes again (a lost acknowledgement) are True too.
        """
        return self._put(path, data, expected=None, ours=True)

    def names(self, folder: str) -> list[str]:
        """See ``DocumentStore.names``."""
        response = self._api.request(
            "GET", f"contents/{encoded(folder, safe='/')}?ref={BRANCH}", title=f"listing {folder}",
            limit=_MAX_LISTING, expect={404},
        )  # fmt: skip
        if not response.ok:
            self._require_readable()
            return []
        if not response.body.lstrip().startswith(b"["):
            return []  # a file has that name
        entries = response.parse(ENTRIES)
        if len(entries) >= _LONGEST_LISTING:
            return [entry.path for entry in self._tree(folder) if entry.type == "blob"]
        return [entry.name for entry in entries if entry.type == "file"]

    def _tree(self, folder: str) -> list[TreeEntry]:
        """Return what is in a folder by going down the trees, which hold any number of files."""
        entries = self._subtree(BRANCH)
        for part in folder.split("/"):
            found = [each for each in entries if each.path == part and each.type == "tree"]
            if not found:
                return []
            entries = self._subtree(found[0].sha)
        return entries

    def _subtree(self, tree: str) -> list[TreeEntry]:
        found = self._api.request(
            "GET", f"git/trees/{encoded(tree)}", title=f"listing the branch {BRANCH}",
            limit=_MAX_LISTING,
        ).parse(TREE)  # fmt: skip
        if found.truncated:
            raise RepositoryError(
                f"a folder on the branch {BRANCH} has more files than GitHub lists",
                hint="use another repository for new modules.",
            )
        return list(found.tree)

    def _put(self, path: str, data: bytes, *, expected: str | None, ours: bool) -> bool:
        """Write a file if what is there has the ``expected`` hash (None: nothing).

        Other files may move the branch in the meantime; then it is tried again. ``ours``: no other
        run writes the same bytes, so if they are there the write succeeded.
        """
        document = {
            "message": f"chore({BRANCH}): write {path} [skip ci]",
            "content": base64.b64encode(data).decode(),
            "branch": BRANCH,
        } | ({} if expected is None else {"sha": expected})
        made = False
        for attempt in range(_TRIES):
            sent = self._api.request(
                "PUT",
                f"contents/{encoded(path, safe='/')}",
                json=document,
                title=f"writing {path} to the branch {BRANCH}",
                confirm=lambda: self._holds(path, data),
                expect={404, 409, 422},
            )
            if sent.ok:
                return True
            if sent.status == 404 and not made:
                made = True
                self._make_branch()
                continue
            if is_rule(sent):
                break
            there = self.read(path)
            if ours and there is not None and there.data == data:
                return True
            if (None if there is None else there.tag) != expected:
                return False
            self._sleep(random.uniform(0, min(_LONGEST_WAIT, 0.05 * 2**attempt)))  # noqa: S311
        raise github_error(sent)

    def _holds(self, path: str, data: bytes) -> bool:
        there = self.read(path)
        return there is not None and there.data == data

    def _make_branch(self) -> None:
        """Make the branch, without a parent; another run may do so at the same time."""
        file = {"path": "README.md", "mode": "100644", "type": "blob", "content": _README}
        tree = self._made("git/trees", {"tree": [file]})
        message = f"chore({BRANCH}): begin [skip ci]"
        commit = self._made("git/commits", {"message": message, "tree": tree, "parents": []})
        created = self._api.request(
            "POST", "git/refs", json={"ref": f"refs/heads/{BRANCH}", "sha": commit},
            title=_CREATING, expect={409, 422},
        )  # fmt: skip
        if not created.ok and "already exists" not in github_reason(created):
            raise github_error(created)

    def _made(self, path: str, document: object) -> str:
        """Make a Git object and return its hash; the same again is the same object."""
        created = self._api.request("POST", path, json=document, title=_CREATING, expect={409})
        if is_empty(created):
            raise empty_repository(self._api.location.name)
        if not created.ok:
            raise github_error(created)
        return created.parse(SHA).sha
