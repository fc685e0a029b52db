"""ObjectStore on a WebDAV server; and on a plain web server, as far as that goes.

A claim is a collection: of several that make it (MKCOL) one succeeds, on every server, while
conditions of a PUT are ignored by nginx and racy on Apache. Its content is a file in it.
"""

from __future__ import annotations

from pathlib import Path

from ign_deploy.errors import RepositoryError
from ign_deploy.net.errors import TransientResponse
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.http.base import SETTLE, HttpObjectStore, Tagged
from ign_deploy.repositories.backends.http.client import Client
from ign_deploy.repositories.backends.http.errors import refusal
from ign_deploy.repositories.backends.http.listing import (
    PROPFIND_BODY,
    parse_json_listing,
    parse_multistatus,
)
from ign_deploy.repositories.backends.http.webdav_probe import find_out
from ign_deploy.repositories.backends.object_store import Name, last_generation
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import Document

_CONTENT = "claim.json"
_UNSUPPORTED = frozenset({405, 501})


class WebDavObjectStore(HttpObjectStore):
    """See ``path_store.ObjectStore``."""

    def __init__(self, client: Client, *, settle: float = SETTLE) -> None:
        super().__init__(client, settle=settle)
        self._made: set[str] = set()

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``ObjectStore.put``; where the server keeps conditions, it is asked to compare."""
        self._make(_parent(path))
        headers = {"Content-Type": "application/json"}
        if replaces is None:
            headers["If-None-Match"] = "*"
        elif isinstance(replaces, Tagged) and replaces.etag:
            headers["If-Match"] = replaces.etag
        sent = self._client.change("PUT", self.url(path), data=data, headers=headers)
        if sent.status == 412:
            return False
        if not sent.accepted:
            raise refusal(sent.status, self.url(path), doing=f"writing {path}")
        return True

    def created(self, path: str) -> bytes | None:
        """See ``ObjectStore.created``."""
        inside = self.probe().create_once
        return super().created(f"{path}/{_CONTENT}" if inside else path)

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        """See ``ObjectStore.send``."""
        self._make(_parent(path))
        sent = self._client.upload(
            self.url(path),
            source,
            expected=expected,
            progress=progress,
            settle=lambda: self._holds(path, expected),
        )
        if not sent.accepted:
            raise refusal(sent.status, self.url(path), doing=f"storing {expected.name}")
        self._require_stored(path, expected)

    def names(self, folder: str) -> list[Name]:
        """See ``ObjectStore.names``; asks with PROPFIND, else for the JSON listing of nginx."""
        url = self._folder_url(folder)
        headers = {"Depth": "1", "Content-Type": "application/xml"}
        answer = self._client.ask("PROPFIND", url, headers=headers, data=PROPFIND_BODY)
        if answer.status == 207:
            return parse_multistatus(answer.body, url=url)
        if answer.status in _UNSUPPORTED:
            answer = self._client.ask("GET", url, headers={"Accept": "application/json"})
            if answer.status == 200:
                return parse_json_listing(answer.body, url=url)
        if answer.status in {404, 410}:
            return []
        raise refusal(answer.status, url, doing=f"listing {folder}/")

    def delete(self, path: str) -> None:
        """See ``ObjectStore.delete``."""
        sent = self._client.change("DELETE", self.url(path))
        if sent.status == 409:
            # nginx wants the slash of a collection, which a claim is.
            sent = self._client.change("DELETE", f"{self.url(path)}/")
        if not sent.accepted and sent.status not in {404, 410}:
            raise refusal(sent.status, self.url(path), doing=f"deleting {path}")

    def _find_out(self) -> Capabilities:
        return find_out(self._client)

    def _create_once(self, path: str, data: bytes) -> bool:
        self._make(_parent(path))
        patience = self._client.patience
        begin = patience.clock()
        sent = self._client.change("MKCOL", self._folder_url(path))
        if sent.status == 405:
            return False
        if not sent.accepted:
            # Apache refuses the second of two at the same moment with 403.
            if sent.status == 403 and self._is_there(path):
                return False
            raise refusal(sent.status, self.url(path), doing=f"making {path}/")
        self._made.add(path)
        try:
            self.put(f"{path}/{_CONTENT}", data, replaces=None)
        except (RepositoryError, TransientResponse):
            # nginx answers 500 to a missing folder. Others took ours over, and removed it.
            if self._is_there(path):
                raise
            return False
        if patience.clock() - begin < patience.grace:
            return True
        # It was empty for so long that another may have taken it for left behind. Whoever did has
        # claimed the next generation by the end of another grace.
        patience.sleep(patience.grace)
        ours = last_generation([Name(path.rpartition("/")[2], is_folder=True)])
        return last_generation(self.names(_parent(path))) == ours

    def _make(self, folder: str) -> None:
        """Make a folder and those above it, unless they are there."""
        if folder in self._made:
            return
        url = self._folder_url(folder)
        sent = self._client.change("MKCOL", url)
        if sent.status == 409 and folder:
            self._make(_parent(folder))
            sent = self._client.change("MKCOL", url)
        # A server without collections needs none.
        there = sent.accepted or sent.status in _UNSUPPORTED
        if not there and not (sent.status == 403 and self._is_there(folder)):
            raise refusal(sent.status, url, doing=f"making the folder {folder}/")
        self._made.add(folder)

    def _is_there(self, folder: str) -> bool:
        url = self._folder_url(folder)
        answer = self._client.ask("PROPFIND", url, headers={"Depth": "0"}, data=PROPFIND_BODY)
        if answer.status in _UNSUPPORTED:
            _, _, name = folder.rpartition("/")
            return Name(name, is_folder=True) in self.names(_parent(folder))
        return answer.status == 207

    def _folder_url(self, folder: str) -> str:
        return f"{self.url(folder)}/" if folder else f"{self._client.location.root}/"


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
