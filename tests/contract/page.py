"""What a store's page shows: read from the documents that the page reads, as it reads them."""

from __future__ import annotations

import json
from typing import Any, cast

from ign_deploy.repositories import Repository
from ign_deploy.repositories.page import PAGE_NAME, page_bytes, script_path
from ign_deploy.repositories.record import INDEX_NAME
from ign_deploy.repositories.repository import StoreRepository
from ign_deploy.repositories.store import DocumentStore

Shown = dict[tuple[str, str], str | bool]


def shown_on_page(repository: Repository) -> Shown | None:
    """Return whether and why each version is yanked; None for a store without a page."""
    store, documents = cast(StoreRepository, repository).store, repository.maintenance.documents
    page = documents.read(PAGE_NAME)
    if not store.has_page:
        assert page is None
        return None
    assert page is not None
    assert page.data == page_bytes()
    assert store.has_scripts == (documents.read(script_path(INDEX_NAME)) is not None)
    shown: Shown = {}
    for entry in _read(documents, INDEX_NAME, is_script=store.has_scripts)["modules"]:
        path = f"modules/{entry['id']}/{INDEX_NAME}"
        index = _read(documents, path, is_script=store.has_scripts)
        yanked = {each["version"]: each["yanked"] for each in index["files"]}
        assert (entry["count"], entry["yanked"]) == (len(yanked), yanked[entry["latest"]])
        assert all(each["id"] == entry["id"] for each in index.get("records", []))
        shown |= {(entry["id"], version): each for version, each in yanked.items()}
    return shown


def script_content(script: bytes) -> Any:
    """Return the document of a script: the JSON in the string that it calls the page with."""
    begin, _, rest = script.partition(b"(")
    assert begin == b"ignDeployDocument"
    return json.loads(json.loads(rest.removesuffix(b");\n")))


def _read(documents: DocumentStore, path: str, *, is_script: bool) -> Any:
    document = documents.read(script_path(path) if is_script else path)
    assert document is not None
    return script_content(document.data) if is_script else json.loads(document.data)
