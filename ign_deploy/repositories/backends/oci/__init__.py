"""Modules in an OCI registry, one repository for all of them: ``oci://registry[:port]/name``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ign_deploy.report import Reporter
from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access

if TYPE_CHECKING:
    from ign_deploy.repositories.backends.oci.store import OciStore


def open_oci(url: str, access: Access, reporter: Reporter) -> Repository:
    """Return the repository in a registry; nothing is requested yet. Raises ConfigurationError."""
    from ign_deploy.repositories.repository import StoreRepository

    return StoreRepository(oci_store(url, access, reporter), reporter=reporter, access=access)


def oci_store(url: str, access: Access, reporter: Reporter) -> OciStore:
    """Return the store that the repository is made of. Raises ConfigurationError."""
    from ign_deploy.repositories.backends.oci.address import location_at
    from ign_deploy.repositories.backends.oci.client import RegistryClient
    from ign_deploy.repositories.backends.oci.store import OciStore

    location = location_at(url)
    client = RegistryClient(location, access=access, reporter=reporter)
    return OciStore(client, patience=access.patience, reporter=reporter)
