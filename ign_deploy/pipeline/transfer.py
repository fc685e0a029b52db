"""Modules to and from the run's repository: published exactly once, fetched and verified."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ign_deploy.errors import IgnDeployError, VersionConflict
from ign_deploy.files import is_same_file
from ign_deploy.module.artifacts import Bundle, VerifiedModule
from ign_deploy.module.findings import Finding, warning
from ign_deploy.module.ignition import NOT_STATED
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.resigning import original_version
from ign_deploy.pipeline.verify import verify_file

if TYPE_CHECKING:
    from ign_deploy.repositories import ConsentChange, Publication
    from ign_deploy.repositories.record import Release


@dataclass(frozen=True, slots=True)
class Published:
    """A publication, and the file that is in the repository.

    That is the given one, or, of a version with the same content, the one published before.
    """

    publication: Publication
    module: VerifiedModule


def publish_module(
    module: VerifiedModule,
    context: RunContext,
    *,
    bundle: Bundle | None = None,
    folder: Path | None = None,
) -> Published:
    """Publish a module, and its bundle if there is one; the audit trail gets an entry.

    If the version is published with other bytes, but the same content and signer, as a second build
    of the same sources has, that file is fetched, into ``folder`` if there is one, and nothing is
    published. Raises VersionConflict for other content, or RepositoryError.
    """
    from ign_deploy.repositories.upload import upload

    resigned_from = original_version(module, context)

    def send(each: VerifiedModule, bundle: Bundle | None) -> Publication:
        facts = _record_facts(each, context, resigned_from=resigned_from)
        return upload(each, context.repository, **facts, bundle=bundle, reporter=context.reporter)

    try:
        publication = send(module, bundle)
    except VersionConflict as conflict:
        module = _published_before(module, context, conflict, folder=folder)
        publication = send(module, None)
    if module.support not in (NOT_STATED, publication.release.support):
        context.reporter.warning(
            f"{publication.release.id} {publication.release.version} was published before with "
            "other values of --tested-on or --max-ignition: those stay, for a record never changes"
        )
    if publication.asked_again is not None:
        finding = _asked_again(publication.release, publication.asked_again)
        context.report.add_findings([finding], file=module.path)
    context.audit.record(
        "upload",
        publication_result(publication),
        now=context.now,
        subject={"module": publication.release.id, "version": publication.release.version},
        sha256=module.sha256,
        details={
            "location": publication.location,
            **({"resigned_from": resigned_from} if resigned_from else {}),
        },
    )
    return Published(publication, module)


def _asked_again(release: Release, change: ConsentChange) -> Finding:
    """Say at release what operators would otherwise find out on each gateway."""
    asked = [
        text
        for text, is_new in (
            (f"the certificate is another one (SHA-1 {release.certificate.sha1})",
             change.certificate),
            (f"the licence text was changed (CRC {release.licence_crc})", change.licence),
        )
        if is_new
    ]  # fmt: skip
    return warning(
        "asked-again",
        f"gateways that have {release.id} {change.since} will ask again: {' and '.join(asked)}",
        hint="tell the operators before they install it: they have to accept it on each gateway.",
    )


def _published_before(
    module: VerifiedModule, context: RunContext, conflict: VersionConflict, *, folder: Path | None
) -> VerifiedModule:
    """Return the file that is published as this version; raises the conflict for other content."""
    from ign_deploy.repositories.record import module_file_name
    from ign_deploy.repositories.same_content import require_same_content

    key = (module.descriptor.id, module.descriptor.version)
    private = context.folder / f"published-{secrets.token_hex(4)}"
    try:
        found = download_module(key[0], context, folder=private, version=key[1])
    except (IgnDeployError, OSError) as problem:
        raise conflict from problem
    require_same_content(module, found, conflict=conflict)
    target = None if folder is None else folder / module_file_name(*key)
    if target is not None and is_same_file(target, module.path):
        raise conflict
    if folder is not None:
        # The very bytes that were compared, whatever the repository holds by now.
        sha256 = found.sha256
        found = download_module(key[0], context, folder=folder, version=key[1], sha256=sha256)
    context.reporter.info(
        f"{' '.join(key)} is published with the same content, packed otherwise: the published file "
        f"counts, with the SHA-256 {found.sha256}"
    )
    return found


def planned_release(module: VerifiedModule, context: RunContext) -> Release:
    """Return the record under which ``publish_module`` would publish; writes nothing."""
    from ign_deploy.repositories.upload import describe_release

    resigned_from = original_version(module, context)
    return describe_release(module, **_record_facts(module, context, resigned_from=resigned_from))


def publication_result(publication: Publication) -> str:
    """Return ``uploaded``, or ``unchanged`` when the same content was published before."""
    from ign_deploy.repositories import PublishOutcome

    return "uploaded" if publication.outcome is PublishOutcome.PUBLISHED else "unchanged"


def download_module(
    name: str,
    context: RunContext,
    *,
    folder: Path,
    version: str = "",
    ignition: str = "",
    sha256: str = "",
) -> VerifiedModule:
    """Fetch a module by id or name into ``folder``, verified; see ``repositories.download``.

    ``version`` may be a range; ``ignition`` is that of a gateway that must be able to run it;
    ``sha256`` is what the file must have.
    """
    from ign_deploy.repositories.download import download

    _ = context.workspace.trust  # before anything is transferred
    return download(
        context.repository,
        name,
        version=version or None,
        ignition=ignition,
        sha256=sha256,
        output_dir=folder,
        verify=lambda path: verify_file(path, context, match_settings=False),
        reporter=context.reporter,
    )


def _record_facts(
    module: VerifiedModule, context: RunContext, *, resigned_from: str
) -> dict[str, Any]:
    """Return what the record says beside the module itself."""
    published = context.published
    return {
        "published_at": context.now,
        "notes": published.notes,
        "description": published.description or context.redact(module.descriptor.description),
        "documentation_url": published.documentation_url,
        "tags": published.tags,
        "commit": published.provenance.commit,
        "build": published.provenance.build,
        "support": module.support,
        "resigned_from": resigned_from,
    }
