"""Modules to and from the run's repository: published exactly once, fetched and verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ign_deploy.module.artifacts import Bundle, VerifiedModule
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.verify import verify_file

if TYPE_CHECKING:
    from ign_deploy.repositories import Publication
    from ign_deploy.repositories.record import Release


def publish_module(
    module: VerifiedModule, context: RunContext, *, bundle: Bundle | None = None
) -> Publication:
    """Publish a module, and its bundle if there is one; the audit trail gets an entry.

    Raises VersionConflict when the version is published with other bytes, or RepositoryError.
    """
    from ign_deploy.repositories.upload import upload

    publication = upload(
        module,
        context.repository,
        **_record_facts(module, context),
        bundle=bundle,
        reporter=context.reporter,
    )
    context.audit.record(
        "upload",
        publication_result(publication),
        now=context.now,
        subject={"module": publication.release.id, "version": publication.release.version},
        sha256=module.sha256,
        details={"location": publication.location},
    )
    return publication


def planned_release(module: VerifiedModule, context: RunContext) -> Release:
    """Return the record under which ``publish_module`` would publish; writes nothing."""
    from ign_deploy.repositories.upload import describe_release

    return describe_release(module, **_record_facts(module, context))


def publication_result(publication: Publication) -> str:
    """Return ``uploaded``, or ``unchanged`` when the same bytes were published before."""
    from ign_deploy.repositories import PublishOutcome

    return "uploaded" if publication.outcome is PublishOutcome.PUBLISHED else "unchanged"


def download_module(
    name: str, context: RunContext, *, folder: Path, version: str = "", sha256: str = ""
) -> VerifiedModule:
    """Fetch a module by id or name into ``folder``, verified; see ``repositories.download``.

    ``version`` may be a range; ``sha256`` is what the file must have.
    """
    from ign_deploy.repositories.download import download

    _ = context.workspace.trust  # before anything is transferred
    return download(
        context.repository,
        name,
        version=version or None,
        sha256=sha256,
        output_dir=folder,
        verify=lambda path: verify_file(path, context, match_settings=False),
        reporter=context.reporter,
    )


def _record_facts(module: VerifiedModule, context: RunContext) -> dict[str, Any]:
    """Return what the record says beside the module itself."""
    published = context.published
    return {
        "published_at": context.now,
        "notes": published.notes,
        "description": published.description or context.redact(module.descriptor.description),
        "tags": published.tags,
        "commit": published.provenance.commit,
        "build": published.provenance.build,
    }
