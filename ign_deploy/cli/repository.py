"""The commands upload, download and list-modules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ign_deploy.cli.formatting import certificate_lines, findings_document, plain
from ign_deploy.cli.listing import Row, answer_list
from ign_deploy.cli.options import REPOSITORY, SUPPORT, common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError
from ign_deploy.pipeline.checks import check_repository
from ign_deploy.pipeline.transfer import (
    download_module,
    planned_release,
    publication_result,
    publish_module,
)
from ign_deploy.pipeline.verify import verify_file, warn_of_expiry

if TYPE_CHECKING:
    from ign_deploy.repositories import CatalogueEntry, Publication


@click.command("upload")
@click.argument("file", type=click.Path(path_type=Path))
@settings_options(
    "version",
    "module_id",
    "description",
    *REPOSITORY,
    "documentation_url",
    "notes",
    "notes_file",
    "tags",
    *SUPPORT,
    "environment",
    "resign",
    "trust_anchor",
    "allow_expired",
    "expiry_warning_days",
    "audit_file",
    "dry_run",
)
@common_options
def upload_command(session: Session, file: Path) -> None:
    """Publish a signed module, exactly once.

    FILE is verified first. The same content again is a success; other content for a published
    version is rejected (exit code 6), and nothing changes.
    """
    context = session.context
    module = verify_file(file, context, is_release=True)
    for finding in module.findings:
        session.reporter.finding(finding, file=str(file))
    warn_of_expiry(module, context)
    context.audit.check()
    # Before any byte is sent: a wrong token would otherwise be noticed after the whole upload.
    check_repository(context)
    if session.settings.dry_run:
        release = planned_release(module, context)
        text = f"would publish {release.id} {release.version} ({module.sha256})"
        session.answer({"result": "dry-run", "release": release.model_dump(mode="json")}, text)
        return
    publication = publish_module(module, context).publication
    document = {
        "result": publication_result(publication),
        "location": publication.location,
        "release": publication.release.model_dump(mode="json"),
    }
    session.answer(document, _describe_publication(publication))


@click.command("download", short_help="Download a module by id or name, verified.")
@click.argument("name", metavar="NAME[@VERSION]")
@click.option(
    "-v",
    "--version",
    "wanted",
    metavar="VERSION",
    help="Version, or a range such as '>=1.2,<2'.  [default: newest]",
)
@click.option("--sha256", default="", metavar="HEX", help="Expected SHA-256 of the file.")
@settings_options(
    "output_dir", "ignition", *REPOSITORY, "cache_dir", "trust_anchor", "allow_expired"
)
@common_options
def download_command(session: Session, name: str, wanted: str | None, sha256: str) -> None:
    """Fetch a module by its id or name, and verify it.

    VERSION may be a range such as '>=1.2,<2', here and as --version; the default is the newest.
    Nothing appears in --output-dir unless digest, signature and record agree. A yanked version is
    only selected when requested by exact version.
    """
    settings = session.settings
    name, at, version = name.partition("@")
    if at and wanted and version != wanted:
        raise ConfigurationError(
            f"two versions are given: {version[:100]!a} and {wanted[:100]!a}",
            hint="give one of them.",
        )
    module = download_module(
        name,
        session.context,
        folder=settings.output_dir,
        version=version or wanted or settings.version,
        ignition=settings.ignition,
        sha256=sha256,
    )
    for finding in module.findings:
        session.reporter.finding(finding, file=str(module.path))
    document = {
        "result": "downloaded",
        "file": str(module.path),
        "id": module.descriptor.id,
        "version": module.descriptor.version,
        "sha256": module.sha256,
        "size": module.size,
        "certificate": module.certificate.as_dict(),
        "licence_crc": module.licence_crc,
        "findings": findings_document(module.findings),
    }
    lines = [f"downloaded {module.path}", f"{'file SHA-256:':<16}{module.sha256}"]
    session.answer(document, "\n".join(lines + certificate_lines(module.certificate)))


@click.command("list-modules", short_help="List published modules.")
@click.argument("text", default="", metavar="[TEXT]")
@click.option(
    "-s",
    "--search",
    default="",
    metavar="TEXT",
    help="Text in id, name, description or tags.",
)
@click.option("--all-versions", is_flag=True, help="All versions, not only the newest.")
@click.option("--include-yanked", is_flag=True, help="Also yanked versions.")
@settings_options("ignition", *REPOSITORY)
@common_options
def list_modules_command(session: Session, **choice: Any) -> None:
    """List the published modules, each with its newest version.

    TEXT is the same as --search.
    """
    from ign_deploy.repositories.search import ListFilter, iterate_modules

    if choice["text"] and choice["search"]:
        raise click.UsageError("give TEXT or --search, not both.")
    wanted = ListFilter(
        search=choice["text"] or choice["search"],
        ignition=session.settings.ignition,
        every_version=choice["all_versions"],
        include_yanked=choice["include_yanked"],
    )
    repository = session.context.repository
    location = repository.location
    missing = f"no module matches {plain(wanted.search)!r}" if wanted.search else "no modules"
    if wanted.ignition:
        missing += f" for Ignition {plain(wanted.ignition)}"
    if not wanted.search:
        missing += " are published"
    answer_list(
        session,
        ([_row(each) for each in group] for group in iterate_modules(repository, wanted)),
        about={"repository": location},
        name="modules",
        header=("MODULE", "VERSION", "IGNITION", "PUBLISHED", "NAME"),
        nothing=f"{missing} in {plain(location)}",
    )


def _row(entry: CatalogueEntry) -> Row:
    """Return an entry for programs, and for people with untrusted text neutralised."""
    document = {
        "id": entry.id,
        "name": entry.name,
        "version": entry.version,
        "versions": entry.versions,
        "description": entry.description,
        "tags": list(entry.tags),
        "required_ignition_version": entry.requires_ignition,
        "max_ignition_version": entry.max_ignition,
        "published_at": entry.published_at,
        "yanked": entry.yanked,
    }
    cells = (
        plain(entry.id),
        plain(entry.version) + (" (yanked)" if entry.yanked is not None else ""),
        plain(entry.requires_ignition),
        plain(entry.published_at[:10]),
        plain(entry.name),
    )
    return Row(document, cells)


def _describe_publication(publication: Publication) -> str:
    release = publication.release
    return (
        f"{publication.outcome.value}: {release.id} {release.version}\n"
        f"{'at:':<16}{publication.location}\n"
        f"{'file SHA-256:':<16}{release.module_file.sha256}"
    )
