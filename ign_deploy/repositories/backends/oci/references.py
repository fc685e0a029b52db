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
from ign_deploy.net.retry import retrying
from ign_deploy.net.sending import Sent
from ign_deploy.repositories.backends.oci.client import Client
from ign_deploy.repositories.backends.oci.errors import error_codes
from ign_deploy.repositories.backends.oci.manifests import (
    MANIFEST_TYPE,
    MAX_MANIFEST_SIZE,
    Manifest,
    digest_of,
    parse_manifest,
)

_MAX_LISTING = 32 << 20
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

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, tag: str, *, doing: str) -> Found | None:
        """Return what a tag points to, None if there is no such tag.

        Raises RepositoryError for what is no manifest, or not the one that the registry states.
        """
        url = self._url(tag)
        headers = {"Accept": MANIFEST_TYPE, "Cache-Control": "no-cache"}
        limit = MAX_MANIFEST_SIZE
        answer = self._client.ask("GET", url, limit=limit, doing=doing, headers=headers)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._client.refused(answer, doing=doing)
        digest = digest_of(answer.body)
        stated = answer.headers.get("Docker-Content-Digest", digest)
        # Another algorithm's can't be compared with what a tag has.
        if stated.startswith("sha256:") and stated != digest:
            raise RepositoryError(
                f"{doing}: what {self._client.location.host} sent for the tag {tag} doesn't have "
                "the digest that it states",
                hint="run again; if it stays so, look at the registry and the proxies before it.",
            )
        location = f"the tag {tag} of {self._client.location.shown}"
        return Found(parse_manifest(answer.body, location=location), digest)

    def put(self, tag: str, manifest: bytes, *, doing: str) -> Sent:
        """Point a tag to a manifest; the answer may be a refusal.

        Tried again when the registry misread a digest: it does while another run sends the same
        blob, since it writes its link to it in place.
        """
        headers = {"Content-Type": MANIFEST_TYPE}
        url = self._url(tag)

        def attempt() -> Sent:
            sent = self._client.change("PUT", url, data=manifest, doing=doing, headers=headers)
            if sent.status == 400 and "DIGEST_INVALID" in error_codes(sent.body):
                raise TransientResponse(
                    f"{self._client.location.host} answered that a digest is invalid",
                    hint="run again; if it stays so, look at the registry's log and disk.",
                )
            return sent

        return retrying(attempt, title=doing, reporter=self._client.reporter)

    def delete(self, digest: str, *, doing: str) -> bool:
        """Delete a manifest and all tags that point to it; False where that isn't allowed.

        What is gone already counts as deleted.
        """
        sent = self._client.change("DELETE", self._url(digest), doing=doing)
        if sent.accepted or sent.status == 404:
            return True
        if sent.status in {400, 401, 403, 405, 409, 412}:
            return False
        raise self._client.refused(sent, doing=doing)

    def tags(self) -> Iterator[str]:
        """Yield all tags, in no order; none where the repository isn't there yet."""
        doing = "listing what is published"
        first = f"{self._client.location.root}/tags/list"
        url: str | None = f"{first}?n=1000"
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) >= _MAX_PAGES:
                raise _unusable_list(self._client.location.host, "a list of tags that has no end")
            seen.add(url)
            answer = self._client.ask("GET", url, limit=_MAX_LISTING, doing=doing)
            if answer.status == 404 and len(seen) == 1:
                return
            if answer.status != 200:
                raise self._client.refused(answer, doing=doing)
            yield from _tags_in(answer.body, host=self._client.location.host)
            url = next_page(answer.headers.get("Link", ""), base=url, first=first)

    def _url(self, reference: str) -> str:
        return f"{self._client.location.root}/manifests/{reference}"


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
        f"{host} answers with {what}",
        hint="check that the URL is the registry's; look at its log and the proxies before it.",
    )
