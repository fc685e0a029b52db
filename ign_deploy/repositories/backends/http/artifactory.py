"""Objects in a generic repository of JFrog Artifactory: ``artifactory+https://host/artifactory/x``.

Artifactory has no way to create a file once only but an account that may not overwrite it. So the
account should be denied "Delete/Overwrite" for records and claims, and have it for the rest.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ign_deploy.errors import ConfigurationError, NotInRepository, RepositoryError
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.http.base import HttpObjectStore, accepts_ranges
from ign_deploy.repositories.backends.http.client import http_error
from ign_deploy.repositories.backends.http.listing import ARTIFACTORY_ITEM, MAX_LISTING, plain_names
from ign_deploy.repositories.backends.http.location import HttpLocation
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import Document

# One name for good: an account that may not overwrite it may not delete it either.
_PROBE = "ign-deploy-probe/claim-0.json"
_LONGEST_REASON = 300
_OVERWRITES = (
    "The account can overwrite what is published, so only waiting keeps two jobs from publishing "
    "the same version at the same moment; in its permission, remove Delete/Overwrite from "
    "**/release.json and **/claim-*.json (exclude patterns)."
)


class ArtifactoryObjectStore(HttpObjectStore):
    """See ``object_store.ObjectStore``."""

    def __init__(self, location: HttpLocation, **options: Any) -> None:
        self._base, self._name, self._prefix = _find(location.parts)
        super().__init__(location, hints=_hints(self._name), error_of=artifactory_error, **options)

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``ObjectStore.put``."""
        sent = self._put(path, data, expect={403})
        if sent.ok or (replaces is None and self._is_kept(path, sent)):
            return sent.ok
        raise self._client.error_for_response(sent)

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        """See ``ObjectStore.send``; what Artifactory has anywhere already isn't transferred."""
        digest = {"X-Checksum-Sha256": expected.sha256}
        known = self._client.request(
            "PUT", self.url(path), title=f"uploading {expected.name}", expect=ANY_STATUS,
            headers={"X-Checksum-Deploy": "true", **digest},
        )  # fmt: skip
        if known.ok:
            progress(expected.size)
        elif self._is_kept(path, known) and self._holds(path, expected):
            # A run that was killed left it, and this account may not overwrite it.
            progress(expected.size)
        elif known.status in {401, 403}:
            raise self._client.error_for_response(known)
        else:
            self._upload(
                path, source, expected=expected, progress=progress, headers=digest,
                confirm=lambda: self._holds(path, expected),
            )  # fmt: skip
        self._require_stored(path, expected)

    def receive(
        self, path: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """See ``ObjectStore.receive``; a virtual repository hides what Xray blocks."""
        try:
            super().receive(path, to=to, expected=expected, progress=progress)
        except NotInRepository:
            response = self._client.request(
                "GET", self.url(path), title=f"downloading {expected.name}", expect={404, 410},
                truncate=True,
            )  # fmt: skip
            if "xray" in _reason(response).lower():
                raise self._client.error_for_response(response) from None
            raise

    def names(self, folder: str) -> list[Name]:
        """See ``ObjectStore.names``; one request, however much there is."""
        response = self._client.request(
            "GET", self._storage(folder), title=f"listing {folder}/", limit=MAX_LISTING,
            expect={404},
        )  # fmt: skip
        if not response.ok:
            return []
        children = response.parse(ARTIFACTORY_ITEM).children or ()
        return list(plain_names((child.uri.removeprefix("/"), child.folder) for child in children))

    def delete(self, path: str) -> None:
        """See ``ObjectStore.delete``."""
        self._client.request("DELETE", self.url(path), title=f"deleting {path}", expect={404})

    def exists(self) -> bool:
        """See ``ObjectStore.exists``; a repository that isn't there raises."""
        self._require_repository()
        return True

    def _find_out(self) -> Capabilities:
        self._require_repository()
        return self._try_writing()

    def _require_repository(self) -> None:
        """Raise RepositoryError unless the repository can be read."""
        response = self._client.request(
            "GET", self._location.url_of(*self._base, "api", "storage", self._name),
            title=f"checking the repository {self._name}", limit=MAX_LISTING,
        )  # fmt: skip
        response.parse(ARTIFACTORY_ITEM)

    def _try_writing(self) -> Capabilities:
        """Write a file twice, each time with other bytes; and delete it, if that is granted."""
        second = first = self._try_put()
        if first.ok:
            second = self._try_put()
        once = second.status == 403 and self._is_kept(_PROBE, second)
        obstacle = ""
        if not second.ok and (not once or _may_not_even_deploy(second)):
            obstacle = self._client.error_for_response(second).message
        head = self._head(_PROBE)
        if second.ok:
            # Where it isn't granted, the file stays.
            self._client.request(
                "DELETE", self.url(_PROBE), title="deleting the test file", expect=ANY_STATUS
            )
        return self._capabilities(
            obstacle=obstacle,
            once=once and not obstacle,
            resume=accepts_ranges(head.headers),
            remark=_OVERWRITES,
        )

    def _create_once(self, path: str, data: bytes) -> bool:
        if not self.put(path, data, replaces=None):
            return False
        # Of two uploads, both may have been checked before either was stored.
        self._wait_policy.sleep(self._wait_policy.poll)
        return self.created(path) == data

    def _try_put(self) -> Response:
        title = "writing a test file"
        return self._put(_PROBE, secrets.token_bytes(16), title=title, expect=ANY_STATUS)

    def _is_kept(self, path: str, sent: Response) -> bool:
        """Return whether a PUT was refused because the file exists and can't be overwritten."""
        return sent.status == 403 and self._head(path).ok

    def _storage(self, path: str) -> str:
        parts = [part for part in path.split("/") if part]
        return self._location.url_of(
            *self._base, "api", "storage", self._name, *self._prefix, *parts
        )


def artifactory_error(response: Response, *, hints: Mapping[int, str]) -> RepositoryError:
    """Return the error for a response, with Artifactory's own reason."""
    problem = http_error(response, hints=hints)
    reason = _reason(response)
    if not reason:
        return problem
    if "xray" in reason.lower():
        return RepositoryError(
            f"{response.title} failed: JFrog Xray blocks it ({response.status}): {reason}",
            hint="have the violation resolved or ignored in Xray, or its policy changed; then run "
            "again.",
        )
    return RepositoryError(f"{problem.message}; Artifactory's reason: {reason}", hint=problem.hint)


def _reason(response: Response) -> str:
    """Return Artifactory's own words, harmless and short; empty without any."""
    listed = response.fields().get("errors")
    first = listed[0] if isinstance(listed, list) and listed else None
    text = first.get("message") if isinstance(first, dict) else None
    if not isinstance(text, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in text)[:_LONGEST_REASON].strip()


def _hints(name: str) -> dict[int, str]:
    return {
        401: "set REPOSITORY_API_TOKEN to an access or identity token, or set REPOSITORY_USERNAME "
        "and REPOSITORY_PASSWORD; API keys (X-JFrog-Art-Api) aren't supported.",
        403: f"in a permission of the account for {name}, grant Read and Deploy/Cache, and "
        "Delete/Overwrite for all but **/release.json and **/claim-*.json.",
        404: f"check the repository's name in the URL ({name!a}), and that the account can read "
        "it.",
        409: "upload again; if it persists, check the repository's checksum policy, its include "
        "patterns and its storage.",
    }


def _may_not_even_deploy(sent: Response) -> bool:
    """Return whether an overwrite was refused for another permission than that to overwrite.

    Artifactory names the permission that the account needs.
    """
    text = sent.body[:4096].decode("utf-8", errors="replace").lower()
    return "deploy" in text and not ("delete" in text or "overwrit" in text)


def _find(parts: tuple[str, ...]) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Split a path into that of Artifactory itself, the repository's name, and the rest."""
    index = parts.index("artifactory") if "artifactory" in parts[:-1] else None
    if index is None or parts[index + 1] == "api":
        raise ConfigurationError(
            "the URL does not name an Artifactory repository",
            hint="write artifactory+https://HOST/artifactory/REPOSITORY.",
        )
    return parts[: index + 1], parts[index + 1], parts[index + 2 :]
