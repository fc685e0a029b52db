"""Upload: from a verified module to a published version with its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from ign_deploy.module.artifacts import Bundle, VerifiedModule
from ign_deploy.module.descriptor import ModuleDescriptor
from ign_deploy.module.ignition import NOT_STATED, IgnitionSupport
from ign_deploy.report import Reporter, SilentReporter
from ign_deploy.repositories import Publication, PublishOutcome, Repository
from ign_deploy.repositories.record import FileRole, Release, make_release, module_file_name

_NOTHING: Mapping[str, str] = MappingProxyType({})
_SCOPES = "GDCA"


def upload(
    module: VerifiedModule,
    repository: Repository,
    *,
    published_at: datetime,
    notes: str = "",
    description: str = "",
    documentation_url: str = "",
    tags: Sequence[str] = (),
    commit: str = "",
    build: Mapping[str, str] = _NOTHING,
    support: IgnitionSupport = NOT_STATED,
    resigned_from: str = "",
    bundle: Bundle | None = None,
    reporter: Reporter | None = None,
) -> Publication:
    """Publish the module, and the ``bundle`` (.zip) if there is one, exactly once.

    ``published_at`` is an aware time; an empty ``description`` is taken from the module. Raises
    VersionConflict when the version is published with other bytes, RepositoryError when the store
    fails or the module's id or version can't be published.
    """
    tell = SilentReporter() if reporter is None else reporter
    release = describe_release(
        module,
        published_at=published_at,
        notes=notes,
        description=description,
        documentation_url=documentation_url,
        tags=tags,
        commit=commit,
        build=build,
        support=support,
        resigned_from=resigned_from,
        bundle=bundle,
    )
    files = {release.module_file.name: module.path}
    if bundle is not None:
        files |= {file.name: bundle.path for file in release.files if file.role == FileRole.BUNDLE}
    total = sum(file.size for file in release.files)
    with tell.progress(f"uploading {release.id} {release.version}", total) as progress:
        publication = repository.publish(release, files=files, progress=progress)
    done = (
        "is published"
        if publication.outcome is PublishOutcome.PUBLISHED
        else "was already published"
    )
    tell.info(f"{release.id} {release.version} {done}: {publication.location}")
    return publication


def describe_release(
    module: VerifiedModule,
    *,
    published_at: datetime,
    notes: str = "",
    description: str = "",
    documentation_url: str = "",
    tags: Sequence[str] = (),
    commit: str = "",
    build: Mapping[str, str] = _NOTHING,
    support: IgnitionSupport = NOT_STATED,
    resigned_from: str = "",
    bundle: Bundle | None = None,
) -> Release:
    """Return the record under which the module is to be published; writes nothing."""
    descriptor = module.descriptor
    name = module_file_name(descriptor.id, descriptor.version)
    files = [_file(name, module.sha256, module.size, FileRole.MODULE)]
    if bundle is not None:
        zip_name = f"{name.removesuffix('.modl')}.zip"
        files.append(_file(zip_name, bundle.sha256, bundle.size, FileRole.BUNDLE))
    certificate = module.certificate
    return make_release(
        id=descriptor.id,
        name=descriptor.name or descriptor.id,
        version=descriptor.version,
        description=description or descriptor.description,
        documentation_url=documentation_url,
        required_ignition_version=descriptor.required_ignition_version,
        required_framework_version=descriptor.required_framework_version,
        max_ignition_version=support.maximum,
        tested_on=support.tested_on,
        scopes=_scopes(descriptor),
        dependencies=[
            {"id": each.module_id, "scope": each.scope, "required": each.required}
            for each in descriptor.depends
        ],
        free=descriptor.free_module,
        certificate={
            "subject": certificate.subject,
            "sha1": certificate.sha1,
            "sha256": certificate.sha256,
            "not_after": certificate.as_dict()["not_after"],
        },
        licence_crc=module.licence_crc,
        resigned_from=resigned_from or None,
        files=files,
        notes=notes,
        tags=list(dict.fromkeys(tag.strip() for tag in tags if tag.strip())),
        published_at=published_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        commit=commit,
        build=dict(build),
    )


def _file(name: str, sha256: str, size: int, role: FileRole) -> dict[str, Any]:
    return {"name": name, "sha256": sha256, "size": size, "role": role.value}


def _scopes(descriptor: ModuleDescriptor) -> list[str]:
    scopes = [hook.scope for hook in descriptor.hooks] + [jar.scope for jar in descriptor.jars]
    used = "".join(scopes).upper()
    return [scope for scope in _SCOPES if scope in used]
