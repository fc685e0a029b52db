"""Reading a page back, to change one module in it without reading every record again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from ign_deploy.repositories.page.data import PageModule
from ign_deploy.repositories.page.render import DATA_END, DATA_START, FORMAT

MAX_PAGE_SIZE = 64 << 20
"""Bytes beyond which a page is not read, but made anew."""


class _Document(TypedDict):
    format: int
    modules: list[PageModule]


@cache
def _adapter() -> TypeAdapter[_Document]:
    return TypeAdapter(_Document)


def read_page(data: bytes) -> list[PageModule] | None:
    """Return the modules that a page shows.

    None when it is somebody else's page, one of another format, or corrupt: the page is derived,
    and can be made anew from the records.
    """
    if len(data) > MAX_PAGE_SIZE or data.count(DATA_START) != 1:
        return None
    embedded, end, _ = data.partition(DATA_START)[2].partition(DATA_END)
    if not end:
        return None
    try:
        document = _adapter().validate_json(embedded, strict=True)
    except ValidationError:
        return None
    return document["modules"] if document["format"] == FORMAT else None


def merge(modules: Sequence[PageModule], changed: PageModule) -> list[PageModule]:
    """Return the modules by id, with ``changed`` in place of what was known of it.

    Without versions it is taken out.
    """
    merged = {module["id"]: module for module in modules}
    merged[changed["id"]] = changed
    if not changed["versions"]:
        del merged[changed["id"]]
    return [merged[module_id] for module_id in sorted(merged)]
