"""The commands install, rollback and promote: modules onto gateways, and back."""

from __future__ import annotations

import click

from ign_deploy.cli.carrying_out import carry_out, open_deployer
from ign_deploy.cli.options import (
    DEPLOYMENT,
    GroupedCommand,
    common_options,
    settings_options,
)
from ign_deploy.cli.session import Session


@click.command("install", cls=GroupedCommand, short_help="Install modules on gateways.")
@click.argument("names", nargs=-1, required=True, metavar="NAME|FILE…")
@settings_options(
    "version",
    "ignition",
    "environment",
    *DEPLOYMENT,
    meanings={
        "version": (
            "Version or range for names without @.  [default: the newest final release]",
            "VERSION",
        ),
        "environment": ("Target environment.  [default: default]", "NAME"),
    },
)
@common_options
def install_command(session: Session, names: tuple[str, ...]) -> None:
    """Install published modules, or signed files, on gateways, and check that they run.

    NAME is a module's id or name, optionally with @VERSION or @RANGE. The version that runs is
    saved first, and comes back when the new one doesn't run. Without --gateway, it goes to the
    gateways that the config file has for the environment. Gateways are restarted only with
    --restart. With --track-only, nothing is installed: the history records the versions.
    """
    from ign_deploy.pipeline.orders import installation

    deployer = open_deployer(session)
    carry_out(installation(names, deployer), deployer, session)


@click.command("rollback", cls=GroupedCommand, short_help="Restore what ran before.")
@click.argument("modules", nargs=-1, metavar="[MODULE…]")
@settings_options(
    "environment",
    "to",
    *DEPLOYMENT,
    meanings={
        "environment": ("Environment to roll back.  [required]", "NAME"),
        "to": ("Version to roll back to, for every module named.", "VERSION"),
    },
)
@common_options
def rollback_command(session: Session, modules: tuple[str, ...]) -> None:
    """Bring back what ran in an environment before, on every gateway it was deployed to.

    The version is the one before the last deployment, or --to. If that deployment was rolled back
    already, there is nothing to roll back. A module that wasn't there before is uninstalled only
    with --allow-uninstall.
    """
    from ign_deploy.pipeline.rollback import leased_rollback

    deployer = open_deployer(session)
    with leased_rollback(modules, deployer) as order:
        carry_out(order, deployer, session)


@click.command(
    "promote", cls=GroupedCommand, short_help="Deploy one environment's versions to another."
)
@click.argument("modules", nargs=-1, metavar="[MODULE[@VERSION]…]")
@settings_options(
    "environment",
    "to",
    *DEPLOYMENT,
    meanings={
        "environment": ("Environment whose versions are deployed.  [required]", "NAME"),
        "to": ("Environment that gets them.  [required]", "NAME"),
    },
)
@common_options
def promote_command(session: Session, modules: tuple[str, ...]) -> None:
    """Deploy the versions that --environment has to the environment --to, the very same files.

    Nothing is built again. With @VERSION, nothing is deployed if --environment has another one.
    Without --gateway, it goes to the gateways that the config file has for --to.
    """
    from ign_deploy.pipeline.orders import promotion

    deployer = open_deployer(session)
    carry_out(promotion(modules, deployer), deployer, session)
