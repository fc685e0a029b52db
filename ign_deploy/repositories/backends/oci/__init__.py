"""Modules in an OCI registry, one repository for all of them: ``oci://registry[:port]/name``."""

from __future__ import annotations

from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access


def open_oci(url: str, access: Access) -> Repository:
    """Return the repository in a registry; nothing is requested yet. Raises ConfigurationError."""
    from ign_deploy.repositories.backends.oci.address import location_at
    from ign_deploy.repositories.backends.oci.client import RegistryClient
    from ign_deploy.repositories.backends.oci.store import oci_store
    from ign_deploy.repositories.repository import StoreRepository

    client = RegistryClient(location_at(url), access=access)
    store = oci_store(client, access=access)
    return StoreRepository(store, reporter=access.reporter, cache=access.cache)
