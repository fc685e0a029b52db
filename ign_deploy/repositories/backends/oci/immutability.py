"""Whether the registry refuses to move a tag: tested, not assumed."""

from __future__ import annotations

import secrets

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.backends.oci.blobs import Blobs
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.backends.oci.manifests import probe_manifest
from ign_deploy.repositories.backends.oci.references import References
from ign_deploy.repositories.backends.oci.tags import IMMUTABILITY_TAG

_TITLE = "testing whether tags can be moved"


class Immutability:
    """Finds it out once, by a tag that stays in the repository."""

    def __init__(self, client: RegistryClient, references: References, blobs: Blobs) -> None:
        self._client = client
        self._references = references
        self._blobs = blobs
        self._found: bool | None = None

    def require(self) -> None:
        """Raise RepositoryError unless a tag that exists can't be moved."""
        if not self.holds():
            raise RepositoryError(
                f"tags in {self._client.location.shown} can be moved, though the URL says "
                "immutable-tags=true: two jobs might both publish a version",
                hint="make all tags immutable that don't begin with '_', or remove "
                "?immutable-tags=true from the URL.",
            )

    def holds(self) -> bool:
        """Return whether a tag that exists can't be moved."""
        if self._found is None:
            # Where it holds, only the very first attempt ever can be accepted.
            self._found = not (self._moves() and self._moves())
        return self._found

    def _moves(self) -> bool:
        """Point the tag to a new manifest; False if that was refused because it exists."""
        self._blobs.put_empty()
        manifest = probe_manifest(secrets.token_hex(8))
        sent = self._references.put(IMMUTABILITY_TAG, manifest, title=_TITLE)
        if sent.ok:
            return True
        if self._references.find(IMMUTABILITY_TAG, title=_TITLE) is None:
            raise self._client.error_for_response(sent)
        return False
