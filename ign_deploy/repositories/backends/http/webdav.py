"""Objects on a WebDAV server; and on a plain web server, as far as that goes.

A claim is a collection: of several runs that create it (MKCOL) one succeeds, on almost every
server, while conditions of a PUT are ignored by nginx and racy on Apache. Its content is a file in
it, of another name for each run: a run that finds a second one there doesn't have the claim.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Container, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.net.errors import TransientFailure, TransientResponse
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.http.base import HttpObjectStore, Tagged
from ign_deploy.repositories.backends.http.listing import (
    MAX_LISTING,
    PROPFIND_BODY,
    parse_json_listing,
    parse_multistatus,
)
from ign_deploy.repositories.backends.http.location import HttpLocation
from ign_deploy.repositories.backends.http.webdav_probe import describe_webdav, probe_webdav
from ign_deploy.repositories.backends.object_store import Name, last_generation
from ign_deploy.repositories.claims import any_claim, claim_bytes, parse_claim
from ign_deploy.repositories.record import INDEX_NAME, ReleaseFile
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document

_MISSING = frozenset({404, 410})
_UNSUPPORTED = frozenset({405, 501})


class WebDavObjectStore(HttpObjectStore):
    """See ``object_store.ObjectStore``."""

    def __init__(self, location: HttpLocation, **options: Any) -> None:
        super().__init__(location, **options)
        self._made: set[str] = set()
        self._making: dict[str, threading.RLock] = {}
        self._claims_folders = False
        self._conditions = True

    def exists(self) -> bool:
        """See ``ObjectStore.exists``; a server without WebDAV has its index, or a listing."""
        root = self._folder_url("")
        title = "checking the repository"
        response = self._client.request(
            "PROPFIND", root, title=title, body=PROPFIND_BODY, limit=MAX_LISTING,
            headers={"Depth": "0", "Content-Type": "application/xml"}, expect=ANY_STATUS,
        )  # fmt: skip
        if response.status == 401:
            raise self._client.error_for_response(response)
        if response.status == 207 or response.status in _MISSING:
            return response.status == 207
        return any(
            self._client.request(
                "GET", url, title=title, limit=MAX_LISTING, truncate=True, expect=_MISSING
            ).ok
            for url in (f"{root}{INDEX_NAME}", root)
        )

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``ObjectStore.put``; where the server honours conditions, it compares."""
        headers = {}
        if self._conditions and replaces is None:
            headers["If-None-Match"] = "*"
        elif self._conditions and isinstance(replaces, Tagged) and replaces.etag:
            headers["If-Match"] = replaces.etag
        refused = {412} if headers else set[int]()
        if self._put_into(_parent(path), path, data, headers=headers, expect=refused):
            return True
        found = self.get(path, limit=MAX_DOCUMENT_SIZE)
        if found != replaces:
            # Ours, if only the response to an earlier attempt got lost.
            return found is not None and found.data == data
        # It refuses the right condition, too: Apache does where mod_deflate changes the ETag.
        self._conditions = False
        return self._put(path, data).ok

    def _put_into(
        self, folder: str, path: str, data: bytes, *, headers: Mapping[str, str], expect: set[int]
    ) -> bool:
        """Write a small file; False for a status in ``expect``. Its folder is made if necessary."""
        if folder not in self._made:
            with self._alone_with(folder):
                if folder not in self._made:
                    # Mostly it is there. If not, servers respond with 409, nginx with 500, others
                    # with 403.
                    with suppress(IgnDeployError, TransientResponse, TransientFailure):
                        sent = self._client.attempt(
                            "PUT", self.url(path), title=f"writing {path}", body=data,
                            headers={"Content-Type": "application/json", **headers},
                        )  # fmt: skip
                        if sent.ok or sent.status in expect:
                            self._made.add(folder)
                            return sent.ok
                    self._make(folder)
        return self._put(path, data, headers=headers, expect=expect).ok

    def claims_folders(self) -> bool:
        """Return whether a folder that is there already can't be made again."""
        self.probe()
        return self._claims_folders

    def settle(self) -> None:
        """Wait until what others wrote at the same time is seen, unless the server is exact."""
        if not self.probe().create_once:
            self._wait_policy.sleep(min(self._claim_wait, self._wait_policy.grace / 3))

    def created(self, path: str) -> bytes | None:
        """See ``ObjectStore.created``."""
        if not self.claims_folders():
            return super().created(path)
        found = [super(WebDavObjectStore, self).created(f"{path}/{each.text}")
                 for each in self.names(path)]  # fmt: skip
        if len(found) == 1:
            return found[0]
        claim = any_claim(parse_claim(each or b"", generation=0) for each in found)
        return None if claim is None else claim_bytes(claim)

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        """See ``ObjectStore.send``."""
        self._make(_parent(path))
        self._upload(
            path, source, expected=expected, progress=progress,
            confirm=lambda: self._holds(path, expected),
        )  # fmt: skip
        self._require_stored(path, expected)

    def names(self, folder: str) -> list[Name]:
        """See ``ObjectStore.names``; uses PROPFIND, else the JSON listing of nginx."""
        url, title = self._folder_url(folder), f"listing {folder}/"
        response = self._client.request(
            "PROPFIND", url, title=title, limit=MAX_LISTING, body=PROPFIND_BODY,
            headers={"Depth": "1", "Content-Type": "application/xml"},
            expect=_MISSING | _UNSUPPORTED,
        )  # fmt: skip
        if response.status == 207:
            return parse_multistatus(response.body, url=url)
        if response.status in _UNSUPPORTED:
            response = self._client.request(
                "GET", url, title=title, limit=MAX_LISTING, expect=_MISSING,
                headers={"Accept": "application/json"},
            )  # fmt: skip
            if response.ok:
                return parse_json_listing(response.body, url=url)
        if response.ok:
            raise self._client.error_for_response(response)
        return []

    def delete(self, path: str) -> None:
        """See ``ObjectStore.delete``."""
        url, title = self.url(path), f"deleting {path}"
        sent = self._client.request("DELETE", url, title=title, expect={*_MISSING, 409})
        if sent.status == 409:
            # nginx requires the slash of a collection, which a claim is.
            self._client.request("DELETE", f"{url}/", title=title, expect=_MISSING)

    def make_once(self, folder: str) -> bool:
        """Make a folder; False if it is there already. Raises RepositoryError."""
        self._require_writable()
        made = self._make_collection(folder, expect={403, 405, 409})
        if made.status == 409:
            self._make(_parent(folder))
            made = self._make_collection(folder, expect={403, 405})
        # Apache refuses the second of two at the same moment with 403.
        if made.status == 405 or (made.status == 403 and self._is_there(folder)):
            return False
        if not made.ok:
            raise self._client.error_for_response(made)
        self._made |= _with_parents(folder)
        return True

    def describe(self, found: Capabilities) -> Capabilities:
        """See ``Store.describe``."""
        return describe_webdav(self._client, self._location.root, found=found)

    def _find_out(self) -> Capabilities:
        found = probe_webdav(self._client, self._location)
        self._made |= found.folders
        self._claims_folders = found.claims_folders
        return found.capabilities

    def create(self, path: str, data: bytes) -> bool:
        """See ``ObjectStore.create``. Raises RepositoryError when the store can't be written."""
        self._require_writable()
        return self._create_once(path, data) if self._claims_folders else self._claim(path, data)

    def _create_once(self, path: str, data: bytes) -> bool:
        wait_policy = self._wait_policy
        begin = wait_policy.clock()
        if not self.make_once(path):
            return False
        ours = Name(f"{secrets.token_hex(8)}.json", is_folder=False)
        try:
            self.put(f"{path}/{ours.text}", data, replaces=None)
        except (RepositoryError, TransientResponse):
            # nginx returns 500 for a missing folder: others took ours over, and removed it.
            if self._is_there(path):
                raise
            return False
        took = wait_policy.clock() - begin
        self.settle()
        if self.names(path) != [ours]:
            # The server let several runs create it: of two, the later one to look sees both.
            with suppress(IgnDeployError):
                self.delete(f"{path}/{ours.text}")
            return False
        if took < wait_policy.grace:
            return True
        # It was empty for so long that another run may have considered it abandoned. That run has
        # claimed the next generation by the end of another grace.
        wait_policy.sleep(wait_policy.grace)
        generation = last_generation([Name(path.rpartition("/")[2], is_folder=True)])
        return last_generation(self.names(_parent(path))) == generation

    def _make(self, folder: str) -> None:
        """Create a folder and those above it, unless they exist."""
        if folder not in self._made:
            with self._alone_with(folder):
                if folder not in self._made:
                    self._make_missing(folder)

    def _alone_with(self, folder: str) -> threading.RLock:
        """Return the lock with which one thread makes a folder, for all that write into it."""
        return self._making.setdefault(folder, threading.RLock())

    def _make_missing(self, folder: str) -> None:
        # A server without collections needs none.
        expected = {*_UNSUPPORTED, 403}
        made = self._make_collection(folder, expect={*expected, 409} if folder else expected)
        if made.status == 409:
            self._make(_parent(folder))
            made = self._make_collection(folder, expect=expected)
        if made.status == 403 and not self._is_there(folder):
            raise self._client.error_for_response(made)
        self._made.add(folder)

    def _make_collection(self, folder: str, *, expect: Container[int]) -> Response:
        return self._client.request(
            "MKCOL", self._folder_url(folder), title=f"creating the folder {folder}/",
            expect=expect,
        )  # fmt: skip

    def _is_there(self, folder: str) -> bool:
        url = self._folder_url(folder)
        response = self._client.request(
            "PROPFIND", url, title=f"checking {folder}/", body=PROPFIND_BODY,
            headers={"Depth": "0", "Content-Type": "application/xml"}, expect=ANY_STATUS,
        )  # fmt: skip
        if response.status in _UNSUPPORTED:
            _, _, name = folder.rpartition("/")
            return Name(name, is_folder=True) in self.names(_parent(folder))
        return response.status == 207

    def _folder_url(self, folder: str) -> str:
        return f"{self.url(folder)}/" if folder else f"{self._location.root}/"


def _with_parents(folder: str) -> set[str]:
    parts = folder.split("/")
    return {"/".join(parts[:length]) for length in range(len(parts) + 1)}


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
