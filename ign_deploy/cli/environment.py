"""The command validate-env."""

from __future__ import annotations

from pathlib import Path

import click

from ign_deploy.cli.options import REPOSITORY, SIGNING, common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.pipeline.gateways import check_gateways, chosen_entries
from ign_deploy.pipeline.preflight import Check, run_checks
from ign_deploy.pipeline.ready import packaging_checks, repository_check, signing_check


@click.command("validate-env", short_help="Check that a release could start.")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--packaging", is_flag=True, help="Check build files, Java, Gradle or Maven.")
@click.option("--signing", is_flag=True, help="Check key, certificates, passwords and alias.")
@click.option("--repository", is_flag=True, help="Check that the repository can be written.")
@settings_options(
    *SIGNING,
    "version",
    "environment",
    "output_dir",
    *REPOSITORY,
    "gateway",
    "gateway_ca",
    "gateway_pin",
    "gateway_manifest",
    "insecure_http",
)
@common_options
def validate_env_command(
    session: Session,
    *,
    path: Path,
    packaging: bool,
    signing: bool,
    repository: bool,
) -> None:
    """Check that a release could start, and list everything that would stop it.

    PATH is the project (default: the current folder). Without a choice, everything is checked;
    --gateway is a choice, too. Without it, it is the gateways of --environment in the config file.
    """
    gateways = session.resolved.origin("gateway") == "--gateway"
    everything = not (packaging or signing or repository or gateways)
    settings, reporter = session.settings, session.reporter
    checks: list[Check] = []
    if packaging or everything:
        checks += packaging_checks(path, settings=settings, env=session.env, reporter=reporter)
    if signing or everything:
        checks.append(signing_check(settings, reporter=reporter))
    if repository or everything:
        checks.append(repository_check(settings, env=session.env, reporter=reporter))
    if gateways or (everything and chosen_entries(settings)):
        checks.append(
            Check("gateways", lambda: check_gateways(settings, env=session.env, reporter=reporter))
        )
    with reporter.group("validate-env"):
        run_checks(checks, reporter=reporter)
    titles = [check.title for check in checks]
    session.answer({"result": "ready", "checked": titles}, "ready: " + ", ".join(titles))
