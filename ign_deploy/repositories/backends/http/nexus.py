"""Objects in a raw repository of Sonatype Nexus: ``nexus+https://host/repository/name[/folder]``.

Exactly once needs the deployment policy "Disable redeploy": a second PUT of a path returns 400.
What is replaced then, such as an index, is deleted first.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.net.errors import host_of
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.http.base import HttpObjectStore, accepts_ranges
from ign_deploy.repositories.backends.http.listing import (
    MAX_LISTING,
    NEXUS_ASSETS,
    NEXUS_COMPONENTS,
    NexusAssets,
    plain_names,
)
from ign_deploy.repositories.backends.http.location import HttpLocation
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import Document

_API = ("service", "rest", "v1")
_MOST_PAGES = 20_000
_LOOKS = 5
_REDEPLOYS = (
    "The repository allows files to be replaced, so only waiting keeps two jobs from publishing "
    'the same version at the same moment; set its deployment policy to "Disable redeploy".'
)
_NO_DELETE = (
    "the account can't delete, so indexes can't be replaced; grant it "
    "nx-repository-view-raw-{name}-delete"
)


class NexusObjectStore(HttpObjectStore):
    """See ``object_store.ObjectStore``.

    The search of Nexus lags behind: what this run wrote or deleted is known without it.
    """

    def __init__(self, location: HttpLocation, **options: Any) -> None:
        self._base, self._name, self._prefix = _find(location.parts)
        self._ours: dict[str, bool] = {}
        self._ours_lock = threading.Lock()
        super().__init__(location, hints=_hints(self._name), **options)

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``ObjectStore.put``."""
        is_refused = self._found is not None and self._found.create_once
        if replaces is None or not is_refused:
            if self._create_once(path, data):
                return True
            if replaces is None:
                return False
        self.delete(path)
        return self._create_once(path, data)

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        """See ``ObjectStore.send``."""

        def is_stored() -> bool:
            return self._digest(path) == expected.sha256

        sent = self._upload(
            path, source, expected=expected, progress=progress, confirm=is_stored, expect={400}
        )
        if self._is_kept(path, sent):
            # A run that was killed left it; we hold the claim now.
            if is_stored():
                progress(expected.size)
                return
            self.delete(path)
            self._upload(path, source, expected=expected, progress=progress, confirm=is_stored)
        elif not sent.ok:
            raise self._client.error_for_response(sent)
        self._note(path, there=True)
        self._require_stored(path, expected)
        self._require_digest(path, expected)

    def names(self, folder: str) -> list[Name]:
        """See ``ObjectStore.names``; requests the folder's own files, then all below it."""
        prefix = f"{folder}/" if folder else ""
        group = "/" + "/".join([*self._prefix, *folder.split("/")]).rstrip("/")
        paths = {
            path: True
            for pattern in (group, f"{group.rstrip('/')}/*")
            for path, _ in self._search(pattern)
        }
        with self._ours_lock:
            paths |= self._ours
        rests = [
            path[len(prefix) :]
            for path, there in paths.items()
            if there and path.startswith(prefix)
        ]
        return list(plain_names((rest.partition("/")[0], "/" in rest) for rest in sorted(rests)))

    def delete(self, path: str) -> None:
        """See ``ObjectStore.delete``."""
        self._client.request("DELETE", self.url(path), title=f"deleting {path}", expect={404})
        self._note(path, there=False)

    def exists(self) -> bool:
        """See ``ObjectStore.exists``; a repository that isn't there raises."""
        self._require_repository()
        return True

    def _find_out(self) -> Capabilities:
        self._require_repository()
        return self._try_writing()

    def _require_repository(self) -> None:
        """Raise RepositoryError unless the repository can be read, and is a raw one."""
        response = self._client.request(
            "GET", self._api("components", repository=self._name), limit=MAX_LISTING,
            title=f"checking the repository {self._name}",
        )  # fmt: skip
        found = response.parse(NEXUS_COMPONENTS)
        if any(item.format not in {"", "raw"} for item in found.items):
            raise RepositoryError(
                f"the repository {self._name!a} has the format {found.items[0].format[:40]!a}, "
                "expected raw",
                hint='create a repository of the type "raw (hosted)", and use its URL.',
            )

    def _try_writing(self) -> Capabilities:
        """Put a file twice, and delete it."""
        path = f"ign-deploy-probe-{secrets.token_hex(8)}"
        title = "writing a test file"
        first = self._put(path, b"1", title=title, expect=ANY_STATUS)
        # Our own first attempt, whose response got lost, makes the next one be refused.
        if not first.ok and not self._is_kept(path, first):
            return self._capabilities(obstacle=self._client.error_for_response(first).message)
        second = self._put(path, b"2", title=title, expect=ANY_STATUS)
        head = self._head(path)
        gone = self._client.request("DELETE", self.url(path), title=title, expect=ANY_STATUS)
        self._note(path, there=False)
        deletes = gone.ok or gone.status == 404
        once = not second.ok and head.ok
        return self._capabilities(
            obstacle="" if deletes else _NO_DELETE.format(name=self._name),
            once=once,
            resume=accepts_ranges(head.headers),
            remark=_REDEPLOYS,
        )

    def _create_once(self, path: str, data: bytes) -> bool:
        sent = self._put(path, data, expect={400})
        if sent.ok:
            self._note(path, there=True)
        elif not self._is_kept(path, sent):
            raise self._client.error_for_response(sent)
        return sent.ok

    def _is_kept(self, path: str, sent: Response) -> bool:
        """Return whether a PUT was refused because the path is taken: 400, as for other reasons.

        Nexus says so; what is taken may be gone by the time we look.
        """
        said = b"does not allow updating" in sent.body
        return sent.status == 400 and (said or self._head(path).ok)

    def _require_digest(self, path: str, expected: ReleaseFile) -> None:
        """Compare with the digest that Nexus computed, once its search shows the file."""
        digest = None
        for look in range(_LOOKS):
            if look:
                self._wait_policy.sleep(self._wait_policy.poll)
            digest = self._digest(path)
            if digest == expected.sha256:
                return
        if digest is not None:
            raise RepositoryError(
                f"Nexus holds {expected.name} with SHA-256 {digest[:64]}, expected "
                f"{expected.sha256}",
                hint="run again; if it persists, check the server's log and its blob store.",
            )

    def _digest(self, path: str) -> str | None:
        """Return the SHA-256 that the search knows of a file; None when it doesn't know it."""
        group = "/" + "/".join([*self._prefix, *path.split("/")[:-1]])
        return next((digest for each, digest in self._search(group) if each == path), None)

    def _search(self, group: str) -> Iterator[tuple[str, str | None]]:
        """Yield path (relative to the root) and SHA-256 of the files whose folder matches."""
        prefix = "".join(f"{part}/" for part in self._prefix)
        token: str | None = ""
        seen: set[str] = set()
        while token is not None and token not in seen:
            seen.add(token)
            if len(seen) > _MOST_PAGES:
                raise RepositoryError(
                    f"{host_of(self._location.root)} sent an endless list of {group}",
                    hint="check the server's log.",
                )
            page = self._page(group, token)
            for item in page.items:
                path = item.path.removeprefix("/")
                if path.startswith(prefix):
                    yield path[len(prefix) :], item.checksum.sha256 if item.checksum else None
            token = page.token or None

    def _page(self, group: str, token: str) -> NexusAssets:
        more = {"continuationToken": token} if token else {}
        url = self._api(
            "search", "assets", repository=self._name, format="raw", group=group, **more
        )
        response = self._client.request("GET", url, title=f"listing {group}", limit=MAX_LISTING)
        return response.parse(NEXUS_ASSETS)

    def _note(self, path: str, *, there: bool) -> None:
        with self._ours_lock:
            self._ours[path] = there

    def _api(self, *parts: str, **query: str) -> str:
        return f"{self._location.url_of(*self._base, *_API, *parts)}?{urlencode(query)}"


def _hints(name: str) -> dict[int, str]:
    permissions = f"nx-repository-view-raw-{name}-*"
    return {
        401: "set REPOSITORY_USERNAME and REPOSITORY_PASSWORD, or set REPOSITORY_API_TOKEN to a "
        "user token (its two codes, joined by a colon).",
        403: f"grant the account browse, read, add, edit and delete: {permissions}.",
        404: f"check the repository's name in the URL ({name!a}), and the account's permissions: "
        f"{permissions}.",
    }


def _find(parts: tuple[str, ...]) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Split a path into what comes before ``repository``, the repository's name, and the rest."""
    index = parts.index("repository") if "repository" in parts[:-1] else None
    if index is None:
        raise ConfigurationError(
            "the URL does not name a Nexus repository",
            hint="write nexus+https://HOST/repository/NAME, as Nexus shows it.",
        )
    return parts[:index], parts[index + 1], parts[index + 2 :]
