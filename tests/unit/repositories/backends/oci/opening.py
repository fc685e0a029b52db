"""Opening a repository, its store, and its parts, in a registry of the test."""

from __future__ import annotations

from urllib.parse import urlsplit

from ign_deploy.report import Reporter
from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.store import Store
from tests.support.stores import store_below

NAME = "acme/ignition-modules"
QUICK = WaitPolicy(grace=0.3, poll=0.02)


def oci_url(server: str, *, options: str = "") -> str:
    return f"oci://{urlsplit(server).netloc}/{NAME}{options}"


def open_at(
    server: str, *, options: str = "", reporter: Reporter | None = None, **access: str
) -> Repository:
    return open_repository(
        oci_url(server, options=options),
        access=Access(wait_policy=QUICK, **access),  # type: ignore[arg-type]  # only texts
        reporter=reporter,
    )


def store_at(server: str, *, options: str = "", wait_policy: WaitPolicy = QUICK) -> Store:
    url = oci_url(server, options=options)
    return store_below(open_repository(url, access=Access(wait_policy=wait_policy)))
