"""Modules in an OCI registry, one repository for all of them: ``oci://registry[:port]/name``."""

from __future__ import annotations

from dataclasses import dataclass

from ign_deploy.net.response import ANY_STATUS
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.oci.blobs import Blobs
from ign_deploy.repositories.backends.oci.claims import Immutability, OciClaims
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.backends.oci.location import find_oci_location
from ign_deploy.repositories.backends.oci.references import (
    References,
    document_tag,
    version_tag,
)
from ign_deploy.repositories.backends.oci.versions import OciDocuments, OciMarks, OciVersions
from ign_deploy.repositories.index_guard import ListingGuard, MarkGuard
from ign_deploy.repositories.publishing import ClaimPublisher
from ign_deploy.repositories.record import INDEX_NAME
from ign_deploy.repositories.store import Store

_MOVABLE = (
    "Tags of this registry can be moved, so only runs of ign-deploy are kept from publishing a "
    "version twice, by claims and waiting; another program could replace it. Where the registry "
    "has immutable tags (Harbor, Amazon ECR, Docker Hub, GitLab), switch them on for all tags that "
    "don't begin with '_', and add ?immutable-tags=true to the repository URL."
)


def open_oci(url: str, access: Access) -> Store:
    """Return the store in a registry; nothing is requested yet. Raises ConfigurationError."""
    client = RegistryClient(find_oci_location(url), access=access)
    references = References(client)
    blobs = Blobs(client)
    immutability = Immutability(client, references, blobs) if client.location.immutable else None
    versions = OciVersions(client, references, blobs, reporter=access.reporter)
    claims = OciClaims(
        client,
        references,
        blobs,
        immutability=immutability,
        wait_policy=access.wait_policy,
        reporter=access.reporter,
    )
    probe = _Probe(client, references, blobs, immutability)
    return Store(
        versions=versions,
        publisher=ClaimPublisher(versions, claims, access.wait_policy, access.reporter),
        documents=OciDocuments(client, references, blobs),
        address=client.location.shown,
        exists=probe.exists,
        probe=probe,
        # What `oras pull` takes, after the scheme.
        location=lambda key: f"{client.location.shown}:{version_tag(key)}",
        snapshot=references.snapshot,
        # The list of all tags may be long: it is compared with only after another run's writing.
        guard=MarkGuard(
            ListingGuard(versions.listing, may_have_lost=lambda: True),
            OciMarks(client, references, blobs),
            client.now,
        ),
        now=client.now,
        compares=lambda: False,
        lists_all=True,
    )


@dataclass(frozen=True, slots=True)
class _Probe:
    """See ``Store.probe``: logs in, and begins an upload that is taken back at once."""

    _client: RegistryClient
    _references: References
    _blobs: Blobs
    _immutability: Immutability | None

    def exists(self) -> bool:
        """See ``Store.exists``; the first push makes a repository."""
        self._require_registry()
        # Not by the list of all tags, which some registries send whole, however long it is.
        if self._references.is_there(document_tag(INDEX_NAME)):
            return True
        listed = self._client.request(
            "GET", "/tags/list?n=1", title="checking the repository", expect={404}, truncate=True
        )
        return listed.ok

    def _require_registry(self) -> None:
        url = f"{self._client.location.api}/v2/"
        response = self._client.request("GET", url, title="checking the registry", expect={404})
        if not response.ok:
            raise response.failure(
                f"{self._client.location.host} is not an OCI registry: it returned 404",
                hint="check the host and port in the repository URL.",
            )

    def __call__(self) -> Capabilities:
        self._require_registry()
        obstacle = self._push_obstacle()
        # Trying it leaves a tag behind, so only where we could publish.
        once = self._immutability is not None and not obstacle and self._immutability.holds()
        return Capabilities(
            location=self._client.location.shown,
            writable=not obstacle,
            obstacle=obstacle,
            create_once=once,
            compare_and_swap=False,
            server_digest=True,
            resume=True,
            remarks=() if once else (_MOVABLE,),
        )

    def _push_obstacle(self) -> str:
        """Return why nothing can be pushed, empty if it can; nothing stays of the attempt."""
        title = "checking the permission to push"
        begun = self._blobs.begin(title=title)
        if begun.status not in {201, 202}:
            problem = self._client.error_for_response(begun)
            return f"{problem.message}; {problem.hint}"
        session = self._blobs.session(begun)
        self._client.request("DELETE", session, title=title, expect=ANY_STATUS)
        return ""
