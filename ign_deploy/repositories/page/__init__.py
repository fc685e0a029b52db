"""The page of a repository: one constant HTML file for people, beside the indexes for programs.

It reads the indexes and records that are there anyway. Nothing here reads or writes files or asks a
network.
"""

from __future__ import annotations

from ign_deploy.repositories.page.render import PAGE_NAME, page_bytes
from ign_deploy.repositories.page.scripts import (
    document_script,
    known_records,
    module_script,
    script_path,
    shown_versions,
)

__all__ = [
    "PAGE_NAME",
    "document_script",
    "known_records",
    "module_script",
    "page_bytes",
    "script_path",
    "shown_versions",
]
