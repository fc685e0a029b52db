"""Tags: their names, the manifests that they point to, and the list of all of them.

A version's tag begins with a letter or digit; everything else of ours begins with an underscore,
so that a registry's rule for immutable tags can tell them apart. The underscore is the escape.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
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
from ign_deploy.repositories.backends.oci.location import error_codes
from ign_deploy.repositories.backends.oci.manifests import (
    MANIFEST_TYPE,
    MAX_MANIFEST_SIZE,
    Manifest,
    digest_of,
    parse_manifest,
)
from ign_deploy.repositories.record import is_safe_component
from ign_deploy.repositories.store import Key

_MAX_LISTING = 32 << 20
_CHECK_REGISTRY = "run again; if it persists, check the registry's log and disk."
_MAX_PAGES = 10_000
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[a-zA-Z*]+\s*=\s*(?:"[^"]*"|[^\s",;]+))*)')
_IS_NEXT = re.compile(r';\s*rel\s*=\s*(?:"next"|next)', re.IGNORECASE)
IMMUTABILITY_TAG = "ign-deploy-immutability"
"""The tag that is written twice, to learn whether tags can be moved; no version's."""
_LONGEST = 128
_SEPARATOR = "_v"
_CLAIM = "_c."
_DOCUMENT = "_d."
_MARK = "_m."
HASHED = "_h."
"""How the tags of documents with long paths begin."""
_VERSION_TAG = re.compile(r"((?:[A-Za-z0-9.-]|__|_p)+)_v((?:[A-Za-z0-9.-]|__|_p)+)")
_PATH = re.compile(r"(?:[A-Za-z0-9.-]|__|_p|_s|_x[0-9a-f]{2})+")
_ESCAPE = re.compile(r"__|_p|_s|_x([0-9a-f]{2})")
_MEANING = {"__": "_", "_p": "+", "_s": "/"}


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest that a tag points to, and its digest."""

    manifest: Manifest
    digest: str


class References:
    """The manifests and tags of one repository."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client
        self._listed: list[str] | None = None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """List all tags once; until the end, ``tags`` yields these."""
        self._listed = list(self.tags())
        try:
            yield
        finally:
            self._listed = None

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

    def is_there(self, tag: str) -> bool:
        """Return whether there is such a tag, as far as the registry says; whatever it holds."""
        return self._client.request(
            "HEAD", f"/manifests/{tag}", title=f"checking the tag {tag}", expect=ANY_STATUS,
            headers={"Accept": MANIFEST_TYPE},
        ).ok  # fmt: skip

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
        if (listed := self._listed) is not None:
            yield from listed
            return
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


def version_tag(key: Key) -> str:
    """Return a version's tag, such as ``com.acme.pump_v1.2.0``; RepositoryError if it's too long.

    An underscore is written ``__``, a plus sign ``_p``, and ``_v`` stands between id and version.
    """
    tag = _component(key.id) + _SEPARATOR + _component(key.version)
    longest = _LONGEST - len(_CLAIM)
    if len(tag) > longest:
        raise RepositoryError(
            f"{key.id} {key.version} would need a tag of {len(tag)} characters, but a registry "
            f"accepts at most {longest}",
            hint="shorten the module's id or its version, or use another kind of repository.",
        )
    return tag


def parse_version_tag(tag: str) -> Key | None:
    """Return the version of a tag; None for a tag that isn't ours."""
    match = _VERSION_TAG.fullmatch(tag)
    if match is None:
        return None
    key = Key(_decoded(match[1]), _decoded(match[2]))
    return key if all(map(is_safe_component, key)) else None


def claim_tag(key: Key) -> str:
    """Return the tag for the claims on a version."""
    return _CLAIM + version_tag(key)


def mark_tag(name: str) -> str:
    """Return the tag of the mark that whoever writes something leaves."""
    return f"{_MARK}{_short_hash(name)}"


def document_tag(path: str) -> str:
    """Return a document's tag; a long path's is a hash, and its manifest holds the path."""
    tag = _DOCUMENT + _path(path)
    if len(tag) <= _LONGEST:
        return tag
    folder, _, name = path.rpartition("/")
    return f"{_hashed_folder(folder)}{_short_hash(name)}"


class FolderTags:
    """Which tags are those of the documents directly in a folder."""

    def __init__(self, folder: str) -> None:
        self._plain = _DOCUMENT + (f"{_path(folder)}_s" if folder else "")
        self._hashed = _hashed_folder(folder)

    def name(self, tag: str) -> str | None:
        """Return the name of the document that a tag holds in plain text; None if it's another."""
        rest = tag.removeprefix(self._plain)
        if rest == tag or _PATH.fullmatch(rest) is None:
            return None
        try:
            name = _decoded(rest)
        except UnicodeDecodeError:
            return None
        # Only what we write ourselves: a second spelling would be a second document.
        return name if "/" not in name and _path(name) == rest else None

    def is_hashed(self, tag: str) -> bool:
        """Return whether the tag is of a document in the folder whose manifest has its path."""
        return tag.startswith(self._hashed)

    def has(self, tag: str) -> bool:
        """Return whether the tag is of a document in the folder."""
        return self.is_hashed(tag) or self.name(tag) is not None


def _component(text: str) -> str:
    return text.replace("_", "__").replace("+", "_p")


def _path(path: str) -> str:
    return "".join(map(_escaped, path))


def _escaped(character: str) -> str:
    if character.isascii() and (character.isalnum() or character in ".-"):
        return character
    for escape, meaning in _MEANING.items():
        if character == meaning:
            return escape
    return "".join(f"_x{byte:02x}" for byte in character.encode())


def _decoded(text: str) -> str:
    def meaning(match: re.Match[str]) -> bytes:
        return bytes.fromhex(match[1]) if match[1] else _MEANING[match[0]].encode()

    parts: list[bytes] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        parts += [text[end : match.start()].encode(), meaning(match)]
        end = match.end()
    return b"".join([*parts, text[end:].encode()]).decode()


def _hashed_folder(folder: str) -> str:
    return f"{HASHED}{_short_hash(folder)}."


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]
