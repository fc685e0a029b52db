"""Modules in an OCI registry, one repository for all of them: ``oci://registry[:port]/name``."""

from __future__ import annotations

from ign_deploy.report import Reporter
from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access


def open_oci(url: str, access: Access, reporter: Reporter) -> Repository:
    """Return the repository in a registry; nothing is requested yet. Raises ConfigurationError."""
    from ign_deploy.repositories.backends.oci.address import location_at
    from ign_deploy.repositories.backends.oci.client import RegistryClient
    from ign_deploy.repositories.backends.oci.store import oci_store
    from ign_deploy.repositories.repository import StoreRepository

    client = RegistryClient(location_at(url), access=access, reporter=reporter)
    store = oci_store(client, access=access, reporter=reporter)
    return StoreRepository(store, reporter=reporter, cache=access.cache)
