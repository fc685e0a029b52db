"""The page of a repository: one HTML file for people, beside the indexes for programs.

Nothing here reads or writes files or asks a network: stores hand in records and take bytes.
"""

from __future__ import annotations

from ign_deploy.repositories.page.data import (
    PageModule,
    PageVersion,
    no_versions,
    page_version,
)
from ign_deploy.repositories.page.refresh import merge, read_page, refresh_module
from ign_deploy.repositories.page.render import PAGE_NAME, render_page

__all__ = [
    "PAGE_NAME",
    "PageModule",
    "PageVersion",
    "merge",
    "no_versions",
    "page_version",
    "read_page",
    "refresh_module",
    "render_page",
]
