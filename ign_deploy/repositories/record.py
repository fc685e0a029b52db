"""release.json: the immutable record of one published version, parsed strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Container
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from ign_deploy.errors import NotInRepository, RepositoryError, explain_validation
from ign_deploy.module.ignition import IgnitionSupport

RECORD_NAME = "release.json"
INDEX_NAME = "index.json"
MAX_RECORD_SIZE = 1 << 20
SCHEMA_VERSION = 1

# Excludes the names of our own files, '..' and a final '.': something follows each dot.
# A single expression, because each publication checks ten thousand names.
_COMPONENT = re.compile(
    r"(?!(?i:release|index)\.(?i:json|js)\Z)[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?=[A-Za-z0-9_+-]))*\Z"
).match
_MAX_COMPONENT = 200
_MAX_FILE_NAME = 255
# Attributes of a subject as RFC 4514 text, whose values escape commas.
_ATTRIBUTE = re.compile(r"(?:^|(?<!\\)[,+])\s*(O|CN)=((?:\\.|[^\\,+])*)", re.DOTALL)
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


def is_safe_component(text: str, *, limit: int = _MAX_COMPONENT) -> bool:
    """Return whether untrusted text can be one component of a path, on every file system."""
    return len(text) <= limit and _COMPONENT(text) is not None


# These messages never contain the value: pydantic repeats them, and records are untrusted.
def _component(text: str) -> str:
    if not is_safe_component(text):
        raise ValueError(
            "must be letters, digits and . _ + - (first a letter or digit, no '..', at most "
            f"{_MAX_COMPONENT} characters), because it becomes a folder name"
        )
    return text


def module_file_name(module_id: str, version: str) -> str:
    """Return the name of a module's file: when it is published, and when it is downloaded."""
    return f"{module_id}-{version}.modl"


def _file_name(text: str) -> str:
    if not is_safe_component(text, limit=_MAX_FILE_NAME):
        raise ValueError("must be a plain file name in the version's folder")
    return text


def _utc_time(text: str) -> str:
    if _UTC.fullmatch(text) is None:
        raise ValueError("must be a UTC time such as 2026-01-31T12:00:00Z")
    datetime.fromisoformat(text)
    return text


Component = Annotated[str, AfterValidator(_component)]
FileName = Annotated[str, AfterValidator(_file_name)]
UtcTime = Annotated[str, AfterValidator(_utc_time)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")]
Sha1 = Annotated[str, Field(pattern=r"^[0-9a-f]{40}\z")]


class FileRole(StrEnum):
    """The kind of a published file."""

    MODULE = "module"
    BUNDLE = "bundle"
    SBOM = "sbom"
    PROVENANCE = "provenance"


class _Part(BaseModel):
    # Fields that only newer versions know are kept, not rejected.
    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)


class ReleaseFile(_Part):
    """One file next to the record. ``role`` is a ``FileRole``, or one of a newer version."""

    name: FileName
    sha256: Sha256
    size: Annotated[int, Field(ge=0, le=2**63 - 1)]
    role: str


class Signer(_Part):
    """The signing certificate; fingerprints in lower-case hex.

    Gateways show ``sha1``. ``not_after`` is when it expires, None if the record doesn't say.
    """

    subject: str
    sha1: Sha1
    sha256: Sha256
    not_after: UtcTime | None = None

    @property
    def vendor(self) -> str:
        """The organisation that signed, or the common name where there is none; it may be empty."""
        names = {key: re.sub(r"\\(.)", r"\1", value) for key, value in self._attributes()}
        return (names.get("O") or names.get("CN") or "").strip()

    def _attributes(self) -> list[tuple[str, str]]:
        return _ATTRIBUTE.findall(self.subject)


class ReleaseDependency(_Part):
    """A module that this one requires; ``required`` is None if the module doesn't say."""

    id: str
    scope: str = ""
    required: bool | None = None


class Release(_Part):
    """The facts about a published version, written to ``release.json`` once.

    ``scopes`` are letters out of G, D, C and A; ``licence_crc`` is the CRC-32 of the licence
    file, None without one; ``max_ignition_version`` and ``tested_on`` are what the vendor says of
    its support, versions or lines of Ignition; ``resigned_from`` is the version with the same
    content that another certificate signed, None for any other version; ``published_at`` is ISO
    8601 in UTC; ``build`` is free text by key.
    """

    schema_version: Annotated[int, Field(ge=1)] = SCHEMA_VERSION
    id: Component
    name: str
    version: Component
    description: str = ""
    documentation_url: str = ""
    required_ignition_version: str = ""
    required_framework_version: str = ""
    max_ignition_version: str = ""
    tested_on: tuple[str, ...] = Field(default=(), strict=False)
    scopes: tuple[str, ...] = Field(default=(), strict=False)
    dependencies: tuple[ReleaseDependency, ...] = Field(default=(), strict=False)
    free: bool = False
    certificate: Signer
    licence_crc: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = None
    resigned_from: Component | None = None
    files: tuple[ReleaseFile, ...] = Field(strict=False)
    notes: str = ""
    tags: tuple[str, ...] = Field(default=(), strict=False)
    published_at: UtcTime
    commit: str = ""
    build: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_module_and_no_name_twice(self) -> Self:
        if sum(file.role == FileRole.MODULE for file in self.files) != 1:
            raise ValueError("files must list exactly one with the role 'module'")
        # On a case-insensitive file system, the second would replace the first.
        if len({file.name.lower() for file in self.files}) != len(self.files):
            raise ValueError("files must not list a name twice")
        return self

    @property
    def support(self) -> IgnitionSupport:
        """Which versions of Ignition the vendor supports."""
        return IgnitionSupport(self.max_ignition_version, self.tested_on)

    @property
    def module_file(self) -> ReleaseFile:
        """The module itself among the files."""
        return next(file for file in self.files if file.role == FileRole.MODULE)

    def file(self, role: FileRole) -> ReleaseFile | None:
        """Return the first file of that role."""
        return next((file for file in self.files if file.role == role), None)

    def required_file(self, role: FileRole | None) -> ReleaseFile:
        """Return the file of that role, by default the module; raises NotInRepository."""
        wanted = FileRole.MODULE if role is None else role
        found = self.file(wanted)
        if found is None:
            raise NotInRepository(
                f"{self.id} {self.version} was published without a {wanted}",
                hint="publish it with the next version.",
            )
        return found

    def require_given(self, names: Container[str]) -> None:
        """Raise RepositoryError unless there is a file for every name in the record."""
        if missing := [file.name for file in self.files if file.name not in names]:
            raise RepositoryError(
                f"the record lists {', '.join(missing)}, but no such file was given",
                hint="publish every file that the record lists.",
            )

    def to_json(self) -> bytes:
        """Return the record's bytes: the same for equal records.

        Raises RepositoryError if they exceed what readers accept.
        """
        document = self.model_dump(mode="json")
        text = json.dumps(document, sort_keys=True, ensure_ascii=False, indent=2, allow_nan=False)
        data = text.encode() + b"\n"
        if len(data) > MAX_RECORD_SIZE:
            raise RepositoryError(
                f"the record of {self.id} {self.version} would have {len(data)} bytes, at most "
                f"{MAX_RECORD_SIZE} are allowed",
                hint="shorten the release notes or the description.",
            )
        return data


def parse_release(data: bytes, *, location: str) -> Release:
    """Parse a record; ``location`` names its origin in messages.

    Raises RepositoryError for an invalid record, without repeating its values.
    """
    if len(data) > MAX_RECORD_SIZE:
        raise _unreadable(location, f"it has more than {MAX_RECORD_SIZE} bytes")
    try:
        document = from_json(data, allow_inf_nan=False)
    except ValueError as cause:
        raise _unreadable(location, f"it is not JSON: {cause}") from None
    try:
        return Release.model_validate(document)
    except ValidationError as cause:
        # Not chained: pydantic's own error prints the record's values.
        raise _unreadable(location, explain_validation(cause)) from None


def make_release(**fields: object) -> Release:
    """Create a record from our own values; raises RepositoryError if it can't be published."""
    try:
        return Release.model_validate(fields)
    except ValidationError as cause:
        raise RepositoryError(
            f"this module can't be published: {explain_validation(cause)}",
            hint="correct the module's id or version in its build files.",
        ) from None


def _unreadable(location: str, reason: str) -> RepositoryError:
    return RepositoryError(
        f"{location} is not a valid release record: {reason}",
        hint="restore the record from a backup, or remove the version's folder and publish again.",
    )
