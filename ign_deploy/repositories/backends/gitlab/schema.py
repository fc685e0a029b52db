"""Responses of GitLab's API, as far as they are used; other fields are ignored."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Id = Annotated[int, Field(ge=1)]

DEVELOPER = 30
MAINTAINER = 40


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Package(_Part):
    """A generic package: one version of what has its name."""

    id: Id
    name: str
    version: str | None = None
    package_type: str
    status: str = "default"


class PackageFile(_Part):
    """A file of a package. ``file_sha256`` is None where GitLab doesn't state it."""

    id: Id
    package_id: Id
    file_name: str
    size: Annotated[int, Field(ge=0)] | None = None
    file_sha256: str | None = None


class Level(_Part):
    """A role, by its number: 20 Reporter, 30 Developer, 40 Maintainer, 50 Owner."""

    access_level: int = 0


class Permissions(_Part):
    """The token's roles; both None for a user who isn't a member (administrators too)."""

    project_access: Level | None = None
    group_access: Level | None = None


class ProjectState(_Part):
    """What a project says of itself to a member's token."""

    packages_enabled: bool | None = None
    package_registry_access_level: str | None = None
    permissions: Permissions | None = None

    @property
    def registry_is_off(self) -> bool:
        """Whether the project has no package registry."""
        return self.packages_enabled is False or self.package_registry_access_level == "disabled"

    @property
    def role(self) -> int | None:
        """The token's highest role in the project, None when GitLab states none."""
        if self.permissions is None:
            return None
        levels = (self.permissions.project_access, self.permissions.group_access)
        return max((each.access_level for each in levels if each is not None), default=None)


PACKAGES = TypeAdapter(list[Package])
PACKAGE_FILES = TypeAdapter(list[PackageFile])
PACKAGE_FILE = TypeAdapter(PackageFile)
PROJECT = TypeAdapter(ProjectState)
