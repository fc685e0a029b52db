"""Manifests by tag or digest, and the list of all tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from pydantic_core import from_json

from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.net.credentials import origin
from ign_deploy.net.errors import TransientResponse
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.net.retry import retrying
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.backends.oci.errors import error_codes
from ign_deploy.repositories.backends.oci.manifests import (
    MANIFEST_TYPE,
    MAX_MANIFEST_SIZE,
    Manifest,
    digest_of,
    parse_manifest,
)

_MAX_LISTING = 32 << 20
_CHECK_REGISTRY = "run again; if it persists, check the registry's log and disk."
_MAX_PAGES = 10_000
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[a-zA-Z*]+\s*=\s*(?:"[^"]*"|[^\s",;]+))*)')
_IS_NEXT = re.compile(r';\s*rel\s*=\s*(?:"next"|next)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest that a tag points to, and its digest."""

    manifest: Manifest
    digest: str


class References:
    """The manifests and tags of one repository."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client

    def find(self, tag: str, *, title: str) -> Found | None:
        """Return what a tag points to, None if there is no such tag.

        Raises RepositoryError for what isn't a manifest, or not the one that the registry states.
        """
        response = self._client.request(
            "GET", f"/manifests/{tag}", title=title, limit=MAX_MANIFEST_SIZE, expect={404},
            headers={"Accept": MANIFEST_TYPE, "Cache-Control": "no-cache"},
        )  # fmt: skip
        if not response.ok:
            return None
        digest = digest_of(response.body)
        stated = response.headers.get("Docker-Content-Digest", digest)
        # Another algorithm's can't be compared with what a tag has.
        if stated.startswith("sha256:") and stated != digest:
            raise response.failure(
                f"{response.host} sent something for the tag {tag} that doesn't have the stated "
                "digest",
                hint="run again; if it persists, check the registry and the proxies in front of "
                "it.",
            )
        location = f"the tag {tag} of {self._client.location.shown}"
        return Found(parse_manifest(response.body, location=location), digest)

    def put(self, tag: str, manifest: bytes, *, title: str) -> Response:
        """Point a tag to a manifest; the response may be a rejection.

        Tried again when the registry misread a digest: it does while another run sends the same
        blob, since it overwrites its link to it.
        """

        def attempt() -> Response:
            sent = self._client.request(
                "PUT", f"/manifests/{tag}", title=title, body=manifest, expect=ANY_STATUS,
                headers={"Content-Type": MANIFEST_TYPE},
            )  # fmt: skip
            if sent.status == 400 and "DIGEST_INVALID" in error_codes(sent):
                raise TransientResponse(
                    f"{sent.host} reported an invalid digest",
                    hint=_CHECK_REGISTRY,
                )
            return sent

        return retrying(attempt, title=title, reporter=self._client.reporter)

    def delete(self, digest: str, *, title: str) -> bool:
        """Delete a manifest and all tags that point to it; False where that isn't allowed.

        What is gone already counts as deleted.
        """
        response = self._client.request(
            "DELETE", f"/manifests/{digest}", title=title,
            expect={400, 401, 403, 404, 405, 409, 412},
        )  # fmt: skip
        return response.ok or response.status == 404

    def tags(self) -> Iterator[str]:
        """Yield all tags, in no order; none where the repository isn't there yet."""
        title = "listing what is published"
        first = f"{self._client.location.root}/tags/list"
        url: str | None = f"{first}?n=1000"
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) >= _MAX_PAGES:
                raise _unusable_list(self._client.location.host, "an endless list of tags")
            seen.add(url)
            response = self._client.request(
                "GET", url, title=title, limit=_MAX_LISTING,
                expect={404} if len(seen) == 1 else (),
            )  # fmt: skip
            if not response.ok:
                return
            yield from _tags_in(response.body, host=self._client.location.host)
            url = next_page(response.headers.get("Link", ""), base=url, first=first)


def next_page(link: str, *, base: str, first: str) -> str | None:
    """Return the address of the next page of tags (RFC 8288), None after the last.

    Raises RepositoryError for one that isn't a page of the same list: credentials go there.
    """
    links = _LINK.findall(link[: 16 << 10])
    target = next((target for target, parameters in links if _IS_NEXT.search(parameters)), None)
    if target is None:
        return None
    try:
        url = str(urljoin(base, target))
        same = origin(url) == origin(first) and urlsplit(url).path == urlsplit(first).path
        query = parse_qs(urlsplit(url).query)
    except (ValueError, ConfigurationError):
        same, query = False, {}
    if not same or not query or not url.isprintable() or "@" in urlsplit(url).netloc:
        host = urlsplit(first).hostname or ""
        raise _unusable_list(host, "a next page of tags that isn't in the same list")
    return url


def _tags_in(body: bytes, *, host: str) -> list[str]:
    try:
        document: Any = from_json(body, allow_inf_nan=False)
    except ValueError:
        document = None
    listed = document.get("tags", []) if isinstance(document, dict) else None
    if listed is None and isinstance(document, dict):
        return []  # after the last tag was deleted
    if not isinstance(listed, list):
        raise _unusable_list(host, "a list of tags that can't be read")
    return [tag for tag in listed if isinstance(tag, str) and _TAG.fullmatch(tag)]


def _unusable_list(host: str, what: str) -> RepositoryError:
    return RepositoryError(
        f"{host} sent {what}",
        hint="check the URL, the registry's log, and the proxies in front of it.",
    )
