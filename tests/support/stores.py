"""The parts of a store, for tests that look below the repository."""

from __future__ import annotations

from ign_deploy.repositories import Repository
from ign_deploy.repositories.claims import ClaimStore
from ign_deploy.repositories.publishing import ClaimPublisher
from ign_deploy.repositories.repository import StoreRepository
from ign_deploy.repositories.store import Store


def store_below(repository: Repository) -> Store:
    assert isinstance(repository, StoreRepository)
    return repository.store


def claims_of(store: Store) -> ClaimStore:
    assert isinstance(store.publisher, ClaimPublisher)
    return store.publisher.claims
