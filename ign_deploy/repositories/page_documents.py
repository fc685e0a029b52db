"""A store's page, and the scripts for it where it can't read the indexes themselves."""

from __future__ import annotations

from collections.abc import Callable

from ign_deploy.repositories.index import ModuleIndex
from ign_deploy.repositories.index_reader import IndexReader, module_path
from ign_deploy.repositories.index_writer import IndexWriter
from ign_deploy.repositories.page import (
    PAGE_NAME,
    document_script,
    known_records,
    module_script,
    page_bytes,
    script_path,
)
from ign_deploy.repositories.record import INDEX_NAME, Release
from ign_deploy.repositories.root_index import RootIndex
from ign_deploy.repositories.store import Document, Store


class PageDocuments:
    """Writes them after the indexes; see ``Store.has_page`` and ``Store.has_scripts``.

    A script is read before the index that it repeats, and written after it: where the store
    compares, what is written is never older than what it replaces. Elsewhere a run that other runs
    overlap checks the scripts together with the indexes.
    """

    def __init__(self, store: Store, *, reader: IndexReader, writer: IndexWriter) -> None:
        self._store = store
        self._reader = reader
        self._writer = writer
        self._is_page_current = False

    def write_page(self) -> None:
        """Write the page if it is missing or another release's; looked at once in a run."""
        if not self._store.has_page or self._is_page_current:
            return
        self._writer.write(PAGE_NAME, bytes, lambda _: page_bytes(), bytes)
        self._is_page_current = True

    def read_script(self, path: str) -> Document | None:
        """Return the script of an index, before the index is read."""
        if not self._store.has_scripts:
            return None
        return self._store.documents.read(script_path(path))

    def shows(self, index: ModuleIndex, root: RootIndex) -> bool:
        """Return whether the page is there, and the scripts are those of the indexes."""
        if self._store.has_page and not self._is_page_current:
            page = self._store.documents.read(PAGE_NAME)
            self._is_page_current = page is not None and page.data == page_bytes()
            if not self._is_page_current:
                return False
        if not self._store.has_scripts:
            return True
        module = self.read_script(module_path(index["id"]))
        if module is None or (stored := self.read_script(INDEX_NAME)) is None:
            return False
        expected = module_script(index, read=known_records(module.data, index).get)
        return (module.data, stored.data) == (expected, document_script(root))

    def write_root(self, root: RootIndex, *, first: Document | None) -> bool:
        """Write the root index as a script; return whether it may have been written."""

        def reread() -> None:
            nonlocal root
            root = self._reader.stored_root() or root

        return self._write(INDEX_NAME, lambda _: document_script(root), first=first, reread=reread)

    def write_module(
        self, index: ModuleIndex, *, read: Callable[[str], Release | None], first: Document | None
    ) -> bool:
        """Write a module's index as a script, with records that ``read`` returns if it lacks them.

        Return whether it may have been written.
        """

        def reread() -> None:
            nonlocal index
            index = self._reader.stored_module(index["id"]) or index

        def change(stored: bytes | None) -> bytes:
            known = {} if stored is None else known_records(stored, index)
            return module_script(index, read=lambda version: known.get(version) or read(version))

        return self._write(module_path(index["id"]), change, first=first, reread=reread)

    def _write(
        self,
        path: str,
        change: Callable[[bytes | None], bytes],
        *,
        first: Document | None,
        reread: Callable[[], None],
    ) -> bool:
        if not self._store.has_scripts:
            return False
        wrote, _ = self._writer.write(
            script_path(path), bytes, change, bytes, first=first, reread=reread
        )
        return wrote
