"""The command mirror."""

from __future__ import annotations

from pathlib import Path

import click

from ign_deploy.cli.formatting import plain
from ign_deploy.cli.options import REPOSITORY, common_options, settings_options
from ign_deploy.cli.session import Session, open_audit
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.identity import load_trust_anchors
from ign_deploy.pipeline.mirror import entries_to_mirror
from ign_deploy.pipeline.preflight import check_repository
from ign_deploy.pipeline.publishing import open_configured_repository, open_mirrored_repository
from ign_deploy.pipeline.verify import verify_file


@click.command("mirror", short_help="Copy modules from another repository.")
@click.argument("source")
@click.argument("modules", nargs=-1, metavar="[ID[@VERSION]…]")
@click.option("--all-versions", is_flag=True, help="Every version, not only the newest.")
@settings_options(
    *REPOSITORY, "cache_dir", "source_username", "trust_anchor", "audit_file", "dry_run"
)
@common_options
def mirror_command(
    session: Session, source: str, modules: tuple[str, ...], *, all_versions: bool
) -> None:
    """Copy modules from the repository SOURCE into --repository-url, each verified on the way.

    Without names, every module's newest version. VERSION may be a range such as '>=1.2,<2'. For an
    offline site: mirror the store into a folder, carry it over, mirror the folder into the store
    there. Credentials for SOURCE come from IGN_DEPLOY_SOURCE_TOKEN, or IGN_DEPLOY_SOURCE_PASSWORD.
    """
    from ign_deploy.repositories.mirror import mirror

    settings, reporter = session.settings, session.reporter
    load_trust_anchors(settings.trust_anchor)  # before anything is transferred
    origin = open_mirrored_repository(source, settings, env=session.env, reporter=reporter)
    target = open_configured_repository(settings, env=session.env, reporter=reporter)
    check_repository(target, reporter=reporter)
    entries = entries_to_mirror(origin, modules, every_version=all_versions)
    names = [{"id": entry.id, "version": entry.version} for entry in entries]
    if settings.dry_run:
        lines = [f"would copy {plain(entry.id)} {plain(entry.version)}" for entry in entries]
        session.answer({"result": "dry-run", "versions": names}, "\n".join(lines))
        return

    def verify(path: Path) -> VerifiedModule:
        return verify_file(path, settings=settings, now=session.now, expect_asked=False)

    done = mirror(origin, target, entries, verify=verify, reporter=reporter)
    for each in done:
        open_audit(session).audit(
            "mirror",
            each.outcome.value,
            now=session.now,
            subject={"module": each.release.id, "version": each.release.version},
            sha256=each.release.module_file.sha256,
        )
    document = {
        "result": "mirrored",
        "versions": [
            {
                "id": each.release.id,
                "version": each.release.version,
                "sha256": each.release.module_file.sha256,
                "result": each.outcome.value,
            }
            for each in done
        ],
    }
    lines = [
        f"{each.outcome.value}: {plain(each.release.id)} {plain(each.release.version)}"
        for each in done
    ]
    session.answer(document, "\n".join(lines) or "there was nothing to copy")
