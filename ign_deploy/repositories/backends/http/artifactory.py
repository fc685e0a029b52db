"""ObjectStore in a generic repository of JFrog Artifactory: ``artifactory+https://host/artifactory/x``.

Artifactory has no way to create a file once only but an account that may not overwrite it. So the
account should be denied "Delete/Overwrite" for records and claims, and have it for the rest.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.net.fetching import SmallAnswer
from ign_deploy.net.sending import Sent
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.http.base import SETTLE, HttpObjectStore
from ign_deploy.repositories.backends.http.client import Client
from ign_deploy.repositories.backends.http.errors import refusal
from ign_deploy.repositories.backends.http.listing import plain_names
from ign_deploy.repositories.backends.http.schema import ArtifactoryItem, parse_answer
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import Document

# One name for good: an account that may not overwrite it may not delete it either.
_PROBE = "ign-deploy-probe/claim-0.json"
_OVERWRITES = (
    "The account may overwrite what is published, so two jobs that publish the same version at the "
    "same moment are kept apart by waiting only; in its permission, take Delete/Overwrite away "
    "from **/release.json and **/claim-*.json (exclude patterns)."
)


class ArtifactoryObjectStore(HttpObjectStore):
    """See ``path_store.ObjectStore``."""

    def __init__(self, client: Client, *, settle: float = SETTLE) -> None:
        super().__init__(client, settle=settle)
        self._base, self._name, self._prefix = _find(client.location.parts)
        self._hints = {
            401: "set REPOSITORY_API_TOKEN to an access or identity token, or "
            "REPOSITORY_USERNAME and REPOSITORY_PASSWORD; API keys (X-JFrog-Art-Api) aren't used.",
            403: f"in a permission of the account for {self._name}, grant Read and Deploy/Cache, "
            "and Delete/Overwrite for all but **/release.json and **/claim-*.json.",
            404: f"check the repository's name in the URL ({self._name!a}), and that the account "
            "may read it.",
            409: "upload again; if it stays so, look at the repository's checksum policy, its "
            "include patterns and its storage.",
        }

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``ObjectStore.put``."""
        sent = self._put(path, data)
        if sent.accepted:
            return True
        if replaces is None and self._is_kept(path, sent):
            return False
        raise self._refusal(sent.status, path, doing=f"writing {path}")

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        """See ``ObjectStore.send``; what Artifactory has anywhere already isn't transferred."""
        known = self._client.change(
            "PUT",
            self.url(path),
            headers={"X-Checksum-Deploy": "true", "X-Checksum-Sha256": expected.sha256},
        )
        if known.accepted:
            progress(expected.size)
        elif self._is_kept(path, known) and self._holds(path, expected):
            # A run that was killed left it, and this account may not overwrite it.
            progress(expected.size)
        elif known.status in {401, 403}:
            raise self._refusal(known.status, path, doing=f"storing {expected.name}")
        else:
            sent = self._client.upload(
                self.url(path),
                source,
                expected=expected,
                progress=progress,
                headers={"X-Checksum-Sha256": expected.sha256},
                settle=lambda: self._holds(path, expected),
            )
            if not sent.accepted:
                raise self._refusal(sent.status, path, doing=f"storing {expected.name}")
        self._require_stored(path, expected)

    def names(self, folder: str) -> list[Name]:
        """See ``ObjectStore.names``; one request, however much there is."""
        answer = self._look(folder)
        if answer.status == 404:
            return []
        url = self._storage(folder)
        if answer.status != 200:
            raise self._refusal(answer.status, folder, doing=f"listing {folder}/")
        children = parse_answer(ArtifactoryItem, answer.body, url=url).children or ()
        return list(plain_names((child.uri.removeprefix("/"), child.folder) for child in children))

    def delete(self, path: str) -> None:
        """See ``ObjectStore.delete``."""
        sent = self._client.change("DELETE", self.url(path))
        if not sent.accepted and sent.status != 404:
            raise self._refusal(sent.status, path, doing=f"deleting {path}")

    def _find_out(self) -> Capabilities:
        url = self._client.location.url_of(*self._base, "api", "storage", self._name)
        answer = self._client.ask("GET", url)
        if answer.status != 200:
            doing = f"looking at repository {self._name}"
            raise refusal(answer.status, url, doing=doing, hints=self._hints)
        parse_answer(ArtifactoryItem, answer.body, url=url)
        return self._try_writing()

    def _try_writing(self) -> Capabilities:
        """Write a file twice, each time with other bytes; and delete it, if that is granted."""
        first = self._put(_PROBE, secrets.token_bytes(16))
        second = first if not first.accepted else self._put(_PROBE, secrets.token_bytes(16))
        once = second.status == 403 and self._is_kept(_PROBE, second)
        obstacle = ""
        if not second.accepted and (not once or _may_not_even_deploy(second)):
            obstacle = self._refusal(
                second.status, _PROBE, doing="writing a file for trial"
            ).message
        head = self._head(_PROBE)
        if second.accepted:
            # Where it isn't granted, the file stays.
            self._client.change("DELETE", self.url(_PROBE))
        return Capabilities(
            location=self._client.location.root,
            writable=not obstacle,
            obstacle=obstacle,
            create_once=once and not obstacle,
            compare_and_swap=False,
            server_digest=True,
            resume=head.headers.get("Accept-Ranges", "").strip().lower() == "bytes",
            remarks=() if once or obstacle else (_OVERWRITES,),
        )

    def _create_once(self, path: str, data: bytes) -> bool:
        sent = self._put(path, data)
        if not sent.accepted:
            if self._is_kept(path, sent):
                return False
            raise self._refusal(sent.status, path, doing=f"writing {path}")
        # Of two uploads, both may have been checked before either was stored.
        self._client.patience.sleep(self._client.patience.poll)
        return self.created(path) == data

    def _put(self, path: str, data: bytes) -> Sent:
        headers = {"Content-Type": "application/json"}
        return self._client.change("PUT", self.url(path), data=data, headers=headers)

    def _is_kept(self, path: str, sent: Sent) -> bool:
        """Tell whether a PUT was refused because the file is there and must not be overwritten."""
        return sent.status == 403 and self._head(path).status == 200

    def _look(self, path: str) -> SmallAnswer:
        return self._client.ask("GET", self._storage(path))

    def _storage(self, path: str) -> str:
        parts = [part for part in path.split("/") if part]
        return self._client.location.url_of(
            *self._base, "api", "storage", self._name, *self._prefix, *parts
        )

    def _refusal(self, status: int, path: str, *, doing: str) -> RepositoryError:
        return refusal(status, self.url(path), doing=doing, hints=self._hints)


def _may_not_even_deploy(sent: Sent) -> bool:
    """Tell whether a refused overwriting was refused for another right than that to overwrite.

    Artifactory names the permission that the account needs.
    """
    text = sent.body[:4096].decode("utf-8", errors="replace").lower()
    return "deploy" in text and not ("delete" in text or "overwrit" in text)


def _find(parts: tuple[str, ...]) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Split a path into that of Artifactory itself, the repository's name, and the rest."""
    index = parts.index("artifactory") if "artifactory" in parts[:-1] else None
    if index is None or parts[index + 1] == "api":
        raise ConfigurationError(
            "the URL names no repository of Artifactory",
            hint="write artifactory+https://HOST/artifactory/REPOSITORY.",
        )
    return parts[: index + 1], parts[index + 1], parts[index + 2 :]
