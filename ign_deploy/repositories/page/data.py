"""What the page shows of a module and its versions, cut to a size that a browser bears.

TypedDicts with sorted keys, as in the indexes: they are embedded as JSON and read back from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

# pydantic reads the standard library's TypedDict only from Python 3.12 on.
from typing_extensions import TypedDict

from ign_deploy.module.version import ModuleVersion, VersionSyntaxError
from ign_deploy.repositories.record import Component, FileName, Release, Sha1, Sha256, UtcTime

SHOWN = 10
"""Versions of a module that are kept in full; the others are in the module's own index."""

MODULES_FOLDER = "modules"

_NAME_LENGTH = 200
_DESCRIPTION_LENGTH = 2_000
_NOTES_LENGTH = 8_000
_TEXTS = 50
_LINE = re.compile(r"(\d+)\.(\d+)(?:\.|-|\Z)", re.ASCII)

# Relative, without a scheme, a host or an empty component: safe in an href wherever it comes from.
RelativeUrl = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_~%-][A-Za-z0-9_.~%-]*(?:/[A-Za-z0-9_~%-][A-Za-z0-9_.~%-]*)*\z")
]
Stage = Literal["final", "prerelease", "malformed"]


class PageDependency(TypedDict):
    """A module that must be installed; ``required`` is None where the module doesn't say."""

    id: str
    required: bool | None
    scope: str


class PageFile(TypedDict):
    """A file beside the module, such as its SBOM."""

    name: FileName
    role: str
    sha256: Sha256
    size: Annotated[int, Field(ge=0, le=2**63 - 1)]


class PageSigner(TypedDict):
    """The module's certificate; fingerprints in lower-case hex, ``sha1`` as a gateway shows it."""

    sha1: Sha1
    sha256: Sha256
    subject: str


class PageVersion(TypedDict):
    """One version. ``folder`` is the URL of its files' folder, relative to the page.

    ``line`` is the minor line of Ignition it is for, such as ``8.3``, empty when unknown;
    ``stage`` is ``malformed`` for what no gateway installs; ``yanked`` is the reason, or None.
    """

    commit: str
    dependencies: list[PageDependency]
    file: PageFile
    folder: RelativeUrl
    framework: str
    free: bool
    ignition: str
    licence_crc: Annotated[int, Field(ge=0, le=2**32 - 1)] | None
    line: str
    notes: str
    others: list[PageFile]
    published_at: UtcTime
    scopes: list[str]
    signer: PageSigner
    stage: Stage
    tags: list[str]
    version: Component
    yanked: str | None


class ModuleTexts(TypedDict):
    """What a module says of itself."""

    description: str
    name: str
    tags: list[str]


class PageModule(TypedDict):
    """A module; the texts are those of the version ``latest``.

    ``versions`` are at most ``SHOWN`` of the ``count`` published ones, newest first.
    """

    count: Annotated[int, Field(ge=0)]
    description: str
    id: Component
    latest: str
    name: str
    tags: list[str]
    versions: Annotated[list[PageVersion], Field(min_length=1, max_length=SHOWN)]


def page_version(release: Release, *, folder: str, yanked: str | None) -> PageVersion:
    """Return what the page shows of a version.

    ``folder`` is the path of its files relative to the page, not yet percent-encoded; ``yanked``
    is the reason, None when the version isn't yanked.
    """
    module = release.module_file
    signer = release.certificate
    return {
        "commit": _short(release.commit, _NAME_LENGTH),
        "dependencies": [
            {
                "id": _short(each.id, _NAME_LENGTH),
                "required": each.required,
                "scope": _short(each.scope, _NAME_LENGTH),
            }
            for each in release.dependencies[:_TEXTS]
        ],
        "file": _file(module.name, module.role, module.sha256, module.size),
        "folder": _relative_url(folder),
        "framework": _short(release.required_framework_version, _NAME_LENGTH),
        "free": release.free,
        "ignition": _short(release.required_ignition_version, _NAME_LENGTH),
        "licence_crc": release.licence_crc,
        "line": ignition_line(release.required_ignition_version),
        "notes": _short(release.notes, _NOTES_LENGTH),
        "others": [
            _file(each.name, each.role, each.sha256, each.size)
            for each in release.files[:_TEXTS]
            if each is not module
        ],
        "published_at": release.published_at,
        "scopes": _texts(release.scopes),
        "signer": {
            "sha1": signer.sha1,
            "sha256": signer.sha256,
            "subject": _short(signer.subject, _DESCRIPTION_LENGTH),
        },
        "stage": _stage(release.version),
        "tags": _texts(release.tags),
        "version": release.version,
        "yanked": shortened_reason(yanked),
    }


def module_texts(name: str, description: str, tags: Sequence[str]) -> ModuleTexts:
    """Return a module's own texts, cut to what a browser bears."""
    return {
        "description": _short(description, _DESCRIPTION_LENGTH),
        "name": _short(name, _NAME_LENGTH),
        "tags": _texts(tags),
    }


def shortened_reason(reason: str | None) -> str | None:
    """Return why a version was yanked, cut; None when it isn't."""
    return None if reason is None else _short(reason, _DESCRIPTION_LENGTH)


def no_versions(module_id: str) -> PageModule:
    """Return a module of which nothing is published any more: ``merge`` takes it off the page."""
    return {
        "count": 0,
        "description": "",
        "id": module_id,
        "latest": "",
        "name": "",
        "tags": [],
        "versions": [],
    }


def ignition_line(required: str) -> str:
    """Return the minor line of a required Ignition version: ``8.3`` for ``8.3.0``; else ''.

    A gateway of any other line refuses the module.
    """
    match = _LINE.match(required)
    return f"{int(match[1])}.{int(match[2])}" if match and len(match[0]) < 20 else ""


def _stage(version: str) -> Stage:
    try:
        return "prerelease" if ModuleVersion.parse(version).is_prerelease else "final"
    except VersionSyntaxError:
        return "malformed"


def _file(name: str, role: str, sha256: str, size: int) -> PageFile:
    return {"name": name, "role": _short(role, _NAME_LENGTH), "sha256": sha256, "size": size}


def _relative_url(folder: str) -> str:
    return "/".join(quote(part, safe="") for part in folder.split("/") if part)


def _texts(texts: Iterable[str]) -> list[str]:
    return [_short(text, _NAME_LENGTH) for text, _ in zip(texts, range(_TEXTS), strict=False)]


def _short(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    return f"{text[:length]}… ({len(text) - length} more characters)"
